// Whether a sanitizer is at work, which has an allocator of its own and uses more of the stack.
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;
#elif defined(__has_feature)
inline constexpr bool sanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
inline constexpr bool sanitized = false;
#endif

// Steps through all cases of what has no threads: under ThreadSanitizer, which finds nothing there and is slow, some do.
#if defined(__SANITIZE_THREAD__)
inline constexpr int exhaustive_step = 8;
#else
inline constexpr int exhaustive_step = 1;
#endif
