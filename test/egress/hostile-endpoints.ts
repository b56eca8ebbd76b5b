/** Endpoints that somebody might send to reach what is not public, each with its verdict. */
import { exactly, rows, type Row } from './endpoint-table.ts';

export const hostile: readonly Row[] = [
  ...rows(
    'IPv4 loopback, short, octal, hexadecimal and decimal',
    'loopback',
    `http://127.0.0.1 https://127.0.0.1:9000 HTTP://127.0.0.1/ http://127.1 http://127.0.1
     http://127.0x1 http://0x7f.1 http://0X7F.0.0.1 http://0x7f000001 http://0x7F000001/
     http://0x00000000000000007f000001 http://2130706433 http://017700000001 http://0177.1
     http://0177.0.0.01 http://00000000177.0.0.1 http://127.65535 http://127.16777215
     http://127.0.0xffff http://0x7f.0377.65535 http://127.0.0.1. http://127.1. http://2130706433.
     http://0x7f000001. http://127.0.0.1:80/path/to http://127.0.0.1:00080`,
  ),
  ...rows(
    'IPv4 in other digits, dots and percent-encoding',
    'loopback',
    `http://１２７.0.0.1 http://１２７．０．０．１ http://127。0。0。1 http://127｡1 http://127．1
     http://①②⑦.0.0.1 http://𝟏𝟐𝟕.𝟎.𝟎.𝟏 http://１２７．１。 http://０ｘ７ｆ.1 http://0ｘ7f000001
     http://２１３０７０６４３３ http://127.0.0.%31 http://%31%32%37.0.0.1 http://127%2e0%2e0%2e1
     http://%EF%BC%91%EF%BC%92%EF%BC%97.1 http://127.0.0.1%2e`,
  ),
  ...exactly('IPv4 with characters that the parser drops', 'loopback', [
    'http://127.0.0\u00ad.1',
    'http://127.\u200b0.0.1',
    'http://12\u20607.1',
    'http://1\ufe0f27.0.0.1',
  ]),
  ...rows(
    'IPv4 unspecified, 0.0.0.0/8',
    'unspecified',
    `http://0 http://0. http://0.0.0.0 http://0x http://0x. http://0x0 http://00000 http://0.1
     http://0.0.0.1 http://1 http://0.255.255.255 http://0xffffff http://077777777 http://16777215`,
  ),
  ...rows(
    'IPv4 private, first and last addresses',
    'private',
    `http://10.0.0.0 http://10.255.255.255 http://10.1 http://0xa.1 http://012.1 http://167772161
     http://172.16.0.0 http://172.31.255.255 http://172.16.1 http://0xac100001 http://192.168.0.0
     http://192.168.255.255 http://192.168.1 http://0300.0250.0.1 http://3232235777 http://10.1.1.1
     http://10.98.255.255 http://10.100.0.0`,
  ),
  ...rows(
    'IPv4 link-local, first and last addresses, metadata services',
    'linkLocal',
    `http://169.254.0.0 http://169.254.255.255 http://169.254.169.254 http://169.254.43518
     http://0xa9fea9fe http://2852039166 http://0251.0376.0251.0376 http://169.254.170.2
     http://169.254.169.254/latest/meta-data`,
  ),
  ...rows(
    'IPv4 carrier-grade NAT, first and last addresses',
    'carrierGradeNat',
    'http://100.64.0.0 http://100.127.255.255 http://100.100.100.200 http://0x64.0x40.1',
  ),
  ...rows(
    'IPv4 multicast, first and last addresses',
    'multicast',
    'http://224.0.0.0 http://239.255.255.255 http://224.0.0.251 http://0xe0000001',
  ),
  ...rows(
    'IPv4 broadcast',
    'broadcast',
    'http://255.255.255.255 http://4294967295 http://0xffffffff http://037777777777',
  ),
  ...rows(
    'IPv4 reserved: protocol assignments, 6to4 relays, benchmarks, AS112, AMT, class E',
    'reserved',
    `http://192.0.0.0 http://192.0.0.9 http://192.0.0.170 http://192.0.0.255 http://192.88.99.0
     http://192.88.99.255 http://198.18.0.0 http://198.19.255.255 http://192.175.48.0
     http://192.175.48.255 http://192.31.196.0 http://192.31.196.255 http://192.52.193.0
     http://192.52.193.255 http://240.0.0.0 http://255.255.255.254 http://0xf0000001`,
  ),
  ...rows(
    'platform service',
    'platform',
    'http://168.63.129.16 http://0xa83f8110 http://[::ffff:168.63.129.16] http://[64:ff9b::a83f:8110]',
  ),
  ...rows(
    'own interfaces',
    'own',
    `http://198.41.0.4 http://0xc6290004 http://[::ffff:198.41.0.4] http://[64:ff9b::198.41.0.4]
     http://[2a01:4f8::1] http://[2A01:04F8:0:0:0:0:0:1] http://own.example`,
  ),
  ...rows(
    'IPv6 loopback',
    'loopback',
    `http://[::1] http://[0:0:0:0:0:0:0:1] http://[0000:0000:0000:0000:0000:0000:0000:0001]
     http://[::0:1] http://[0::1] http://[::0.0.0.1] https://[::1]:8443/a/b`,
  ),
  ...rows(
    'IPv4 loopback mapped in IPv6 or translated by NAT64',
    'loopback',
    `http://[::ffff:127.0.0.1] http://[::ffff:7f00:1] http://[::FFFF:7F00:0001]
     http://[0:0:0:0:0:ffff:127.0.0.1] http://[0:0:0:0:0:ffff:7f00:1] http://[::ffff:127.255.255.255]
     http://[64:ff9b::127.0.0.1] http://[64:ff9b::7f00:1] http://[0064:ff9b:0:0:0:0:7f00:0001]`,
  ),
  ...rows(
    'other IPv4 private in IPv6',
    'private',
    `http://[::ffff:10.0.0.1] http://[::ffff:a00:1] http://[::ffff:192.168.0.1] http://[::ffff:ac10:1]
     http://[64:ff9b::10.0.0.1] http://[64:ff9b::c0a8:1]`,
  ),
  ...rows(
    'IPv4 link-local in IPv6',
    'linkLocal',
    'http://[::ffff:169.254.169.254] http://[::ffff:a9fe:a9fe] http://[64:ff9b::a9fe:a9fe]',
  ),
  ...rows(
    'edges of the mapped and NAT64 ranges',
    'unspecified',
    'http://[::ffff:0:0] http://[64:ff9b::] http://[::ffff:0.0.0.1] http://[64:ff9b::0.0.0.0]',
  ),
  ...rows(
    'edges of the mapped and NAT64 ranges, last address',
    'broadcast',
    'http://[::ffff:ffff:ffff] http://[64:ff9b::ffff:ffff]',
  ),
  ...rows(
    'just outside the mapped and NAT64 ranges',
    'reserved',
    `http://[::fffe:ffff:ffff] http://[0:0:0:0:1::] http://[64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff]
     http://[64:ff9b:0:0:0:1::] http://[64:ff9b:0:ffff:ffff:ffff:ffff:ffff] http://[64:ff9b:2::]`,
  ),
  ...rows(
    'IPv4-compatible, SIIT and other places for an IPv4 address',
    'reserved',
    `http://[::7f00:1] http://[::127.0.0.1] http://[::8.8.8.8] http://[::2] http://[::ffff:ffff]
     http://[::10.0.0.1] http://[::ffff:0:127.0.0.1] http://[::ffff:0:7f00:1]
     http://[::ffff:0:8.8.8.8] http://[::ffff:0:0:0] http://[::ffff:0:ffff:ffff]
     http://[::5efe:127.0.0.1]`,
  ),
  ...rows(
    'ISATAP on the link-local prefix',
    'linkLocal',
    'http://[fe80::5efe:127.0.0.1] http://[fe80::200:5efe:10.0.0.1]',
  ),
  ...rows(
    'local NAT64, first and last addresses',
    'nat64Local',
    `http://[64:ff9b:1::] http://[64:ff9b:1:ffff:ffff:ffff:ffff:ffff] http://[64:ff9b:1::7f00:1]
     http://[64:ff9b:1::8.8.8.8]`,
  ),
  ...rows(
    '6to4, first and last addresses',
    'sixToFour',
    `http://[2002::] http://[2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff] http://[2002:7f00:1::]
     http://[2002:7f00:1::1] http://[2002:a00:1::] http://[2002:808:808::808:808]`,
  ),
  ...rows(
    'Teredo, first and last addresses',
    'teredo',
    `http://[2001::] http://[2001:0:ffff:ffff:ffff:ffff:ffff:ffff]
     http://[2001:0:4136:e378:8000:63bf:80ff:fffe] http://[2001::1]`,
  ),
  ...rows(
    'rest of 2001::/23: benchmarks, AMT, AS112, ORCHID, DRIP',
    'reserved',
    `http://[2001:1::] http://[2001:1::1] http://[2001:2::] http://[2001:2:0:ffff:ffff:ffff:ffff:ffff]
     http://[2001:3::1] http://[2001:4:112::] http://[2001:10::1] http://[2001:20::]
     http://[2001:2f:ffff:ffff:ffff:ffff:ffff:ffff] http://[2001:30::1]
     http://[2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff] http://[2620:4f:8000::]
     http://[2620:4f:8000:ffff:ffff:ffff:ffff:ffff]`,
  ),
  ...rows(
    'IPv6 outside 2000::/3',
    'reserved',
    `http://[1::1] http://[100::] http://[100::ffff:ffff:ffff:ffff] http://[100:0:0:1::1]
     http://[200::1] http://[400::1] http://[1000::1] http://[1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]
     http://[4000::] http://[4000::1] http://[5f00::] http://[5f00:ffff::1] http://[6000::1]
     http://[8000::1] http://[c000::1] http://[e000::1] http://[f000::1]
     http://[fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff] http://[fe00::] http://[fe00::1]
     http://[fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff]`,
  ),
  ...rows(
    'IPv6 unspecified',
    'unspecified',
    'http://[::] http://[0:0:0:0:0:0:0:0] http://[::0.0.0.0]',
  ),
  ...rows(
    'IPv6 unique local, first and last addresses',
    'uniqueLocal',
    `http://[fc00::] http://[fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff] http://[fd00:ec2::254]
     http://[FD12:3456::1] http://[fd98:ffff::1] http://[fd99:1::]`,
  ),
  ...rows(
    'IPv6 link-local, first and last addresses',
    'linkLocal',
    'http://[fe80::] http://[fe80::1] http://[febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff]',
  ),
  ...rows(
    'IPv6 site-local, first and last addresses',
    'siteLocal',
    'http://[fec0::] http://[feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]',
  ),
  ...rows(
    'IPv6 multicast, first and last addresses',
    'multicast',
    'http://[ff00::] http://[ff02::1] http://[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]',
  ),
  ...rows(
    'localhost',
    'loopback',
    `http://localhost http://LOCALHOST http://LocalHost:9000 http://localhost. http://localhost/
     http://a.localhost http://A.B.LOCALHOST. http://localhost.localhost http://ｌｏｃａｌｈｏｓｔ
     http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ http://LOCALHOST。 http://localhost． http://localhost%2e http://%6c%6fcalhost
     http://x.%4c%4f%43%41%4c%48%4f%53%54 http://ſlocalhost.localhoſt http://𝓵𝓸𝓬𝓪𝓵𝓱𝓸𝓼𝓽`,
  ),
  ...exactly('localhost with characters that the parser drops', 'loopback', [
    'http://local\u00adhost',
    'http://local\u200bhost.',
    'http://x.local\u2060host',
  ]),
  ...rows(
    'operator’s deny',
    'denied',
    `http://45.66.0.0 http://45.66.255.255 http://45.66.257 http://0x2d420001 http://[::ffff:45.66.0.1]
     http://[::ffff:2d42:1] http://[64:ff9b::45.66.0.1] http://[64:ff9b::2d42:1]
     http://[64:ff9b:1::45.66.0.1] http://[::ffff:0:45.66.0.1] http://[2002:2d42:1::1]
     http://10.99.66.1 http://[::ffff:10.99.66.255] http://[2a00:dead::] http://[2a00:dead:ffff::1]
     http://denied.example http://denied-too.example`,
  ),
  ...rows(
    'names that resolve to private addresses',
    'private',
    `http://private.example https://PRIVATE.example:9000/a http://private.example. http://ｐrivate.example
     http://private。example http://p%72ivate.example http://nat64.example http://one-of-two.example
     http://two-of-two.example http://münchen.example http://xn--mnchen-3ya.example`,
  ),
  ...rows(
    'names that resolve to loopback addresses',
    'loopback',
    `http://loopback.example http://loopback6.example http://mapped.example http://one-of-two6.example
     http://127.0.0.1.nip.example`,
  ),
  ...rows('names, link-local', 'linkLocal', 'http://metadata.example http://zoned.example'),
  ...rows('names, unique local', 'uniqueLocal', 'http://metadata6.example'),
  ...rows('names, unspecified', 'unspecified', 'http://unspecified.example'),
  ...rows('names, a zone', 'zoned', 'http://zoned-public.example'),
  ...rows('names, not an address', 'unparsable', 'http://garbage.example'),
  ...rows('names, many addresses', 'linkLocal loopback private', 'http://many.example'),
  ...rows(
    'names without an address',
    'unresolved',
    `http://nxdomain.example http://nxdomain.example. http://empty.example http://never.example
     https://never.example:9000/a http://localhostx http://xlocalhost http://1e3 http://0b1 http://-1
     http://0o17 http://127.0.0.1x http://1_0.0.0.x`,
  ),
  ...rows(
    'IPv4 that the parser refuses',
    'invalid',
    `http://256.0.0.1 http://127.0.0.256 http://1.2.3.4.5 http://4294967296 http://0x100000000
     http://127.16777216 http://127.0.65536 http://08 http://09.0.0.1 http://127.0.0.08 http://a.1
     http://example.0x1 http://a.1. http://127.0.0.1.. http://127..1 http://.127.0.0.1
     http://١٢٧.0.0.1 http://127.0.0.1%00 http://127.0.0.1%20 http://127.0.0.1%09`,
  ),
  ...rows(
    'zones and broken IPv6',
    'invalid',
    `http://[fe80::1%eth0] http://[fe80::1%25eth0] http://[::1%25lo] http://[::1%1] http://[::1
     http://::1 http://[] http://[:] http://[:::] http://[1::2::3] http://[::1]x http://[::1].
     http://x[::1] http://[::g] http://[12345::] http://[1:2:3:4:5:6:7] http://[1:2:3:4:5:6:7:8:9]
     http://[::ffff:127.1] http://[::ffff:0x7f.0.0.1] http://[::ffff:0177.0.0.1]
     http://[::ffff:127.0.0.256] http://[127.0.0.1] http://[localhost] http://[v1.fe80::1]
     http://[::127.0.0.1.] http://[::1]:99999 http://[[::1]] http://%5b::1%5d`,
  ),
  ...rows(
    'credentials, queries, fragments, back-slashes, missing or doubled slashes',
    'invalid',
    String.raw`http://user@127.0.0.1 http://user:pass@public.example http://@127.0.0.1
     http://public.example@127.0.0.1 http://public.example:80@127.0.0.1 http://public.example#@127.0.0.1
     http://127.0.0.1#.public.example http://public.example? http://public.example# http://public.example?x
     http://public.example\@127.0.0.1 http:\\127.0.0.1 http://127.0.0.1\public.example
     http:/\127.0.0.1 http:127.0.0.1 http:/127.0.0.1 http:///127.0.0.1 http:////127.0.0.1 //127.0.0.1
     http://public.example//x http://public.example/x// http:// http:///
     https:localhost http:///localhost https:/localhost`,
  ),
  ...rows(
    'dot segments and characters that a path may not have',
    'invalid',
    `http://public.example/. http://public.example/.. http://public.example/a/../b
     http://public.example/./a http://public.example/a/.. http://public.example/a/./
     http://public.example/%2e%2e http://public.example/a%2fb http://public.example/a;b
     http://public.example/ä http://public.example/ſ http://public.example/\u212a http://public.example/a:b http://public.example/a*`,
  ),
  ...rows(
    'other schemes, ports and hosts',
    'invalid',
    `ftp://127.0.0.1 file:///etc/passwd gopher://127.0.0.1 ws://127.0.0.1 unix:/var/run/docker.sock
     data:text/plain,x javascript:alert(1) 127.0.0.1 localhost localhost:80 http+unix://x httpſ://x
     http://h:65536 http://h:99999 http://h:-1 http://h:+80 http://h:0x50 http://h:８０ http://h:80:80
     http://h:a http://a%2fb http://a%40b http://a%3a80 http://a%00b http://a%5cb http://a／b
     http://a＠127.0.0.1 http://a＃b http://a？b http://a：80 http://a％b http://a℀b http://% http://%zz
     http://%ff http://a|b http://a^b http://a<b http://a>b http://. http://.. http://a.. http://.a
     http://a..b http://。 http://a。。b`,
  ),
  ...exactly('white space, control characters and surrogates', 'invalid', [
    '',
    ' ',
    ' http://127.0.0.1',
    'http://127.0.0.1 ',
    'http://127.0.0.1\n',
    'http://127.0.0.1\r\nHost: x',
    '\thttp://127.0.0.1',
    'ht\ntp://127.0.0.1',
    'http:/\n/127.0.0.1',
    'http://127.\t0.0.1',
    'http://127.0.\n0.1',
    'http://local\rhost',
    'http://a b',
    'http://a\u00a0b',
    'http://a\u2028b',
    'http://a\ufeffb',
    'http://a\u3000b',
    'http://127.0.0.1\0',
    'http://127.0.0.1\0.public.example',
    '\0http://127.0.0.1',
    '\u0001http://127.0.0.1',
    'http://a\u007fb',
    'http://a\u001bb',
    'http://public.example/a\nb',
    'http://public.example/a b',
    'http://a\ud800b',
    'http://\udfff',
  ]),
  ...exactly('too long', 'invalid', [
    `http://public.example/${'a'.repeat(2_027)}`,
    `http://${'a'.repeat(64)}.example`,
    `http://${'a.'.repeat(126)}ab`,
    `http://${'ä'.repeat(60)}.example`,
    `http://${'%61'.repeat(64)}`,
    `http://127.0.0.1/${'a/'.repeat(600_000)}`,
  ]),
];
