#!/usr/bin/perl
# Does client.pl read and write frames as vectors.json says? Perl 5.14 and later.
#
#     perl vectors.pl FILE    prints what agrees, and what is outside of JSON::PP; exit code 1 if anything else differs
#
# Headers are compared as values, without the order of their members, which a hash has not.
use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use JSON::PP;

require(dirname(abs_path(__FILE__)) . '/client.pl');

# Cases in which JSON::PP reads otherwise than Python, by name: they alone may disagree, and are printed.
my @OUTSIDE = (
    ['no lone surrogates', qr/^(lone .*surrogate|surrogate escapes|high surrogate before (another|a pair))/],
    ['no NaN, no Infinity', qr/^(NaN and|floats out of range|not an object: NaN|(file|body)_size (NaN|Infinity))/],
    ['1.0 is 1', qr/^(file|body)_size (1\.0|0\.0|1e2|-0\.0)|^aliases 3 and 3\.0|^floats|^negative zeros/],
    ['bodies above 64 MiB', qr/^largest (file|body)_size/],
);
my $json = JSON::PP->new->ascii->canonical->allow_nonref->max_depth(2000);

# A text, or a list of texts and [text, count], as one text.
sub text {
    my ($value) = @_;
    return join '', map { ref $_ ? $_->[0] x $_->[1] : $_ } ref $value ? @$value : $value;
}

# A connection that reads what was written to it: a file without a name.
sub connection {
    my ($data) = @_;
    open my $file, '+>:raw', undef or die "no temporary file: $!\n";
    syswrite $file, $data;
    sysseek $file, 0, 0;
    return bless {socket => $file, last_id => 0}, 'Connection';
}

# A header as text that is the same for the same value.
sub value {
    my ($header) = @_;
    return $json->encode($header);
}

# The same of a header that json.dumps has written.
sub value_of {
    my ($text) = @_;
    return 'a lone surrogate' if $text =~ /\\ud[89ab]..(?!\\ud[c-f])/;    # JSON::PP drops one before a pair
    return eval { value($json->decode($text)) } // $@;
}

# The messages in $data, each as the header's value and the body's hex, and behind them how it ends.
sub read_all {
    my ($data, $max_header) = @_;
    my ($connection, @read) = connection($data);
    while (1) {
        my @frame = eval { $connection->receive($max_header) };
        return (@read, ref $@ ? $@->{code} : $@) if $@;
        return (@read, 'closed') unless @frame;
        push @read, value($frame[0]), unpack('H*', $frame[1]);
    }
}

if (@ARGV != 1) {
    print STDERR "usage: vectors.pl FILE\n";
    exit 2;
}
open my $file, '<:raw', $ARGV[0] or die "$ARGV[0]: $!\n";
my $vectors = $json->decode(do { local $/; <$file> });
my (%agreed, %outside) = (decode => 0, encode => 0);
my $failed = 0;

sub judge {
    my ($kind, $name, $got, $wanted) = @_;
    my ($reason) = map { $_->[0] } grep { $name =~ $_->[1] } @OUTSIDE;
    if ($got eq $wanted) {
        ++$agreed{$kind};
    } elsif (defined $reason) {
        push @{$outside{$reason}}, "\"$name\"";
    } else {
        $failed = 1;
        printf "%s %s: expected %.200s, got %.200s\n", $kind, $name, $wanted, $got;
    }
}

for my $case (@{$vectors->{decode}}) {
    my @got = read_all(pack('H*', text($case->{hex})), $case->{max_header});
    my $end = ref $case->{end} ? $case->{end}{error} : $case->{end};
    $end = $got[-1] eq 'closed' ? 'closed' : 'truncated' if $end eq 'need_data';    # it learns of that from the end
    my @wanted = map { (value_of(text($_->{header})), text($_->{body})) } @{$case->{messages}};
    judge('decode', $case->{name}, join(' ', @got), join(' ', @wanted, $end));
}
for my $case (@{$vectors->{encode}}) {
    my ($text, $wanted) = (text($case->{header_text}), pack('H*', text($case->{hex})));
    my $spelled = substr($wanted, 4, unpack('l<', $wanted));    # as json.dumps writes it, which JSON::PP does not
    $text = $spelled if $text ne $spelled && value_of($text) eq value_of($spelled);
    my $frame = Connection::frame($text, pack('H*', text($case->{body})));
    judge('encode', $case->{name}, unpack('H*', $frame), unpack('H*', $wanted));
}
printf "vectors: %d decode, %d encode agree; %d outside: %s\n", $agreed{decode}, $agreed{encode},
    scalar(map { @$_ } values %outside),
    join('; ', map { "$_ (" . join(', ', @{$outside{$_}}) . ')' } sort keys %outside);
exit $failed;
