#!/usr/bin/perl
# A client in Perl: 5.14 and later, nothing but its core modules.
#
#     perl client.pl HOST PORT CASE...    prints `CASE ok` or `CASE failed: ...`; exit code 0, 1, or 2 for usage
#
# A frame is a 4-byte little-endian length, so many bytes of JSON, and as many raw bytes as the JSON announces.
# Environment: SHARED_SHA256 is what the file shared.bin of the server has to have (case get).
use strict;
use warnings;
use utf8;

use Digest::SHA qw(sha256_hex);
use IO::Socket::INET;
use JSON::PP;
use Socket qw(IPPROTO_TCP SHUT_WR SOL_SOCKET SO_RCVTIMEO SO_SNDTIMEO TCP_NODELAY);

my ($MAX_HEADER, $MAX_BODY) = (1 << 20, 64 << 20);    # what we are willing to read
my ($PARSE_ERROR, $INVALID_REQUEST, $METHOD_NOT_FOUND) = (-32700, -32600, -32601);
my $TEXT = "naïve 你好 🚀";
my $utf8 = JSON::PP->new->utf8->canonical;            # raw UTF-8
my $ascii = JSON::PP->new->ascii->canonical;          # \uxxxx
my $reader = JSON::PP->new->allow_nonref->max_depth(1000);    # of characters

# ---- the wire; everything that goes wrong dies with a text

# What came is no frame: `code` is an error code of PROTOCOL.md, or 'truncated' for the end inside a frame.
package FrameError;

use overload '""' => sub { $_[0]{text} . "\n" }, fallback => 1;

sub throw {
    my ($class, $code, $text) = @_;
    chomp $text;
    die bless {code => $code, text => $text}, $class;
}

package Connection;

# The bytes of a frame; $header: bytes of JSON.
sub frame {
    my ($header, $body) = @_;
    return pack('l<', length $header) . $header . $body;
}

# How many bytes follow a header.
sub body_size {
    my ($header) = @_;
    my @keys = (grep { exists $header->{$_} } qw(method result error item))
        ? ('body_size') : qw(file_size file_siz filesize total_size);
    # An integer is what JSON::PP writes as one: Perl itself would take "5" and true.
    my @sizes = map { $ascii->encode([$header->{$_}]) } grep { exists $header->{$_} } @keys;
    return 0 unless @sizes;
    my ($size) = $sizes[0] =~ /^\[(\d{1,15})\]$/;
    FrameError->throw($INVALID_REQUEST, "a body of $sizes[0] bytes")
        if !defined $size || $size > $MAX_BODY || grep { $_ ne $sizes[0] } @sizes;
    return $size;
}

sub open {
    my ($class, $host, $port) = @_;
    my $socket = IO::Socket::INET->new(PeerHost => $host, PeerPort => $port, Proto => 'tcp', Timeout => 30)
        or die "$host port $port: $@\n";
    my $patience = pack('l! l!', 30, 0);
    setsockopt($socket, Socket::SOL_SOCKET, $_, $patience) for Socket::SO_RCVTIMEO, Socket::SO_SNDTIMEO;
    setsockopt($socket, Socket::IPPROTO_TCP, Socket::TCP_NODELAY, 1);
    binmode $socket;
    return bless {socket => $socket, last_id => 0}, $class;
}

# $header: bytes of JSON.
sub send {
    my ($self, $header, $body) = @_;
    my $frame = frame($header, $body);
    my $at = 0;
    while ($at < length $frame) {
        my $count = syswrite($self->{socket}, $frame, length($frame) - $at, $at);
        die "write: $!\n" unless defined $count;
        $at += $count;
    }
}

# The next bytes, so many of them; undef when the stream ended before the first one.
sub read_exactly {
    my ($self, $size) = @_;
    my $data = '';
    while (length $data < $size) {
        my $count = sysread($self->{socket}, $data, $size - length $data, length $data);
        die "read: $!\n" unless defined $count;
        return undef if $count == 0 && $data eq '';
        FrameError->throw('truncated', 'the server closed the connection inside a frame') if $count == 0;
    }
    return $data;
}

# The next frame: header and body; nothing at the end of the stream.
sub receive {
    my ($self, $max_header) = @_;
    my $prefix = $self->read_exactly(4);
    return unless defined $prefix;
    my $length = unpack('l<', $prefix);
    $max_header //= $MAX_HEADER;
    FrameError->throw($INVALID_REQUEST, "a header of $length bytes") if $length < 2 || $length > $max_header;
    my $text = $self->read_exactly($length) // FrameError->throw('truncated', 'the server closed the connection');
    # What Perl takes for UTF-8 includes surrogates and more than Unicode has.
    FrameError->throw($PARSE_ERROR, 'a header that is no UTF-8')
        if !utf8::decode($text) || $text =~ /[\x{d800}-\x{dfff}]|[^\x{0}-\x{10ffff}]/;
    my $header = eval { $reader->decode($text) };
    FrameError->throw($PARSE_ERROR, "no JSON: $@") if $@;
    FrameError->throw($INVALID_REQUEST, 'a header that is no object') if ref $header ne 'HASH';
    my $body = $self->read_exactly(body_size($header));
    return ($header, $body // FrameError->throw('truncated', 'the server closed the connection'));
}

# Options: params, body, stream; coder, which writes the JSON.
sub request {
    my ($self, $method, %options) = @_;
    my $body = $options{body} // '';
    my $header = {jsonrpc => '2.0', id => ++$self->{last_id}, method => $method, body_size => length $body};
    $header->{params} = $options{params} if $options{params};
    $header->{stream} = JSON::PP::true if $options{stream};
    $self->send(($options{coder} // $ascii)->encode($header), $body);
}

# The next frame of the reply to the last request, which may be an error.
sub read_reply {
    my ($self) = @_;
    my ($header, $body) = $self->receive or die "the server closed the connection\n";
    main::expect('id of the reply', $header->{id}, $self->{last_id});
    return ($header, $body);
}

sub call {
    my ($self, @request) = @_;
    $self->request(@request);
    my ($header, $body) = $self->read_reply;
    die "the server says: $header->{error}{message} ($header->{error}{code})\n" if $header->{error};
    return ($header->{result}, $body);
}

package main;

# ---- the cases

sub expect {
    my ($what, $got, $wanted) = @_;
    $_ //= 'nothing' for $got, $wanted;
    die sprintf("%s: expected %.200s, got %.200s\n", $what, $wanted, $got) if $got ne $wanted;
}

# Bytes that differ everywhere; every client of this folder sends the same ones.
sub pattern {
    my ($size) = @_;
    return pack('C*', map { ($_ ^ $_ >> 8 ^ $_ >> 16) & 255 } 0 .. $size - 1);
}

sub upper {
    my ($connection) = @_;
    my (undef, $body) = $connection->call('upper', body => 'hello, world');
    expect('body', $body, 'HELLO, WORLD');
}

my %cases = (
    upper => \&upper,
    add => sub {
        my ($connection) = @_;
        expect('by name', ($connection->call('add', params => {a => 2, b => 3}))[0], 5);
        expect('by place', ($connection->call('add', params => [2, 3]))[0], 5);
    },
    unicode => sub {
        my ($connection) = @_;
        expect('raw UTF-8', ($connection->call('say', params => {text => $TEXT}, coder => $utf8))[0], $TEXT);
        expect('escaped', ($connection->call('say', params => {text => $TEXT}, coder => $ascii))[0], $TEXT);
    },
    big => sub {
        my ($connection) = @_;
        my $sent = pattern(5 << 20);
        my (undef, $body) = $connection->call('echo', body => $sent);
        expect('size of the body', length $body, length $sent);
        expect('the body is what was sent', $body eq $sent ? 'yes' : 'no', 'yes');
    },
    error => sub {
        my ($connection) = @_;
        $connection->request('no.such.method');
        my ($header) = $connection->read_reply;
        expect('error code', $header->{error}{code}, $METHOD_NOT_FOUND);
        upper($connection);    # the connection goes on
    },
    stream => sub {
        my ($connection) = @_;
        my ($more, @values) = 1;
        $connection->request('count', params => {n => 5}, stream => 1);
        while ($more) {
            my ($header, $body) = $connection->read_reply;
            die "the server says: $header->{error}{message}\n" if $header->{error};
            $more = $header->{more};
            # The end alone is no part.
            push @values, $header->{result} // 'null' if $more || defined $header->{result} || $body ne '';
        }
        expect('parts', "@values", '0 1 2 3 4');
    },
    upload => sub {
        my ($connection) = @_;
        $connection->send($ascii->encode({file_name => 'upload-perl.bin', file_size => 100000}), pattern(100000));
        shutdown($connection->{socket}, SHUT_WR) or die "shutdown: $!\n";
        my ($said) = $connection->receive;    # success is silent, a refusal is an error frame
        expect('what the server says', $said && $ascii->encode($said), undef);
    },
    get => sub {
        my ($connection) = @_;
        my ($result, $body) = $connection->call('file.get', params => {name => 'shared.bin'});
        expect('size', $result->{size}, length $body);
        expect('SHA-256', sha256_hex($body), $ENV{SHARED_SHA256});
    },
);

return 1 if caller;    # vectors.pl uses what is above

my ($host, $port, @names) = @ARGV;
if (!@names || $port !~ /^\d+$/ || grep { !$cases{$_} } @names) {
    print STDERR "usage: client.pl HOST PORT CASE...\ncases: ", join(' ', sort keys %cases), "\n";
    exit 2;
}
$SIG{PIPE} = 'IGNORE';    # a server that closes is an error of the case
binmode STDOUT, ':encoding(UTF-8)';
my $failed = 0;
for my $name (@names) {
    if (eval { $cases{$name}->(Connection->open($host, $port)); 1 }) {
        print "$name ok\n";
    } else {
        $failed = 1;
        print "$name failed: $@";
    }
}
exit $failed;
