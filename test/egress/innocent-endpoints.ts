/** Endpoints that look like ones that are not public, and are. */
import { rows, type Row } from './endpoint-table.ts';

export const innocent: readonly Row[] = [
  ...rows(
    'names that look like addresses or localhost',
    'public',
    `https://fcdn.example.com https://10.example.com https://127.0.0.1.example.com
     https://localhost.example.com https://FCDN.Example.COM:443/ https://public.example
     https://public.example. https://public.example:9000 https://public.example/s3
     https://public.example/s3/v1/ https://public.example/~a/b-c_d/e..f https://public.example/...
     https://public.example/.well-known https://public.example: https://bücher.example
     https://xn--bcher-kva.example https://BÜCHER.example https://💩.example http://public.example:443
     https://ｐublic.example http://allowed.example`,
  ),
  ...rows(
    'names that do not resolve, which the check at connect judges',
    'unresolved',
    `https://notlocalhost https://localhost-1.example https://localhost1 https://local.host
     https://fd00.example https://fe80.example https://0x7f.example https://192.168.0.example
     https://s3_bucket.example https://a-.example`,
  ),
  ...rows(
    'IPv4 just outside the ranges',
    'public',
    `http://1.0.0.0 http://9.255.255.255 http://11.0.0.0 http://100.63.255.255 http://100.128.0.0
     http://100.128.0.1 http://126.255.255.255 http://128.0.0.0 http://168.63.129.15
     http://168.63.129.17 http://169.253.255.255 http://169.255.0.0 http://172.15.255.255
     http://172.32.0.0 http://172.32.0.1 http://191.255.255.255 http://192.0.1.0 http://192.31.195.255
     http://192.31.197.0 http://192.52.192.255 http://192.52.194.0 http://192.88.98.255
     http://192.88.100.0 http://192.167.255.255 http://192.169.0.0 http://192.175.47.255
     http://192.175.49.0 http://198.17.255.255 http://198.20.0.0 http://223.255.255.255
     http://198.41.0.3 http://198.41.0.5 http://45.65.255.255 http://45.67.0.0`,
  ),
  ...rows(
    'IPv4 in other spellings',
    'public',
    `http://134744072 http://0x08080808 http://010.010.010.010 http://8.526344 http://８.８.８.８
     http://8.8.8.8. http://[::ffff:8.8.8.8] http://[::ffff:808:808] http://[64:ff9b::8.8.8.8]
     http://[64:ff9b::808:808]`,
  ),
  ...rows(
    'documentation blocks, first and last addresses',
    'public',
    `http://192.0.2.0 http://192.0.2.255 http://198.51.100.0 http://198.51.100.255 http://203.0.113.0
     http://203.0.113.255 http://[2001:db8::] http://[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]
     http://[3fff::] http://[3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff] http://[::ffff:192.0.2.1]`,
  ),
  ...rows(
    'IPv6 just outside the ranges, and what merely looks embedded',
    'public',
    `http://[2606:4700::1111] http://[2000::] http://[2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff]
     http://[2001:200::] http://[2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff] http://[2003::]
     http://[2001:db7:ffff:ffff:ffff:ffff:ffff:ffff] http://[2001:db9::]
     http://[2620:4f:7fff:ffff:ffff:ffff:ffff:ffff] http://[2620:4f:8001::]
     http://[3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff] http://[3fff:1000::]
     http://[3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff] http://[2606:4700::5efe:127.0.0.1]
     http://[2606:4700::ffff:127.0.0.1] http://[2606:4700::7f00:1] http://[2a01:4f8::2]
     http://[2a00:deac::1] http://[2a00:deae::1]`,
  ),
  ...rows(
    'operator’s allow, first and last addresses',
    'public',
    `http://10.99.0.0 http://10.99.255.255 http://0x0a630001 http://[::ffff:10.99.0.1]
     http://[64:ff9b::10.99.0.1] http://[fd99::] http://[fd99:0:ffff:ffff:ffff:ffff:ffff:ffff]`,
  ),
];
