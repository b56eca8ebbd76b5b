/** What the operator's lists and this machine's addresses do to a classification. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  createAddressPolicy,
  isCidr,
  type AddressKind,
  type AddressPolicy,
} from '../../src/egress/address.ts';

function policyOf(lists: {
  allow?: string[];
  deny?: string[];
  own?: readonly string[];
}): AddressPolicy {
  const { allow = [], deny = [], own = [] } = lists;
  return createAddressPolicy({ allow, deny, ownAddresses: () => own });
}

/** One string of `address kind` lines. */
function assertKinds(policy: AddressPolicy, lines: string): void {
  for (const line of lines.trim().split('\n')) {
    const [address = '', kind] = line.trim().split(/\s+/);
    assert.equal(policy.classify(address), kind as AddressKind, address);
  }
}

describe('address classification', () => {
  it('calls nothing public that is not an address in full', () => {
    const policy = policyOf({ allow: ['0.0.0.0/0', '::/0'] });
    for (const text of [
      ...['', ' ', '%', '%eth0', 'example', '127.1', '134744072', '0x08.8.8.8', '010.8.8.8'],
      ...['8.8.8.08', '8.8.8.8 ', '8.8.8.8.', '8.8.8', '8.8.8.256', '8.8.8.8/32', '[::1]', ':::'],
      ...['1::2::3', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '::ffff:8.8.8', '::ffff:010.8.8.8'],
      ...['2606:4700::1111/128', '2606:4700::g', '8.8.8.8\0', '８.8.8.8'],
    ]) {
      assert.equal(policy.classify(text), 'unparsable', JSON.stringify(text));
    }
  });

  it('never calls an address with a zone public', () => {
    assertKinds(
      policyOf({ allow: ['fd00::/8', '10.0.0.0/8'], deny: ['fe80:0:0:1::/64', '9.9.9.9/32'] }),
      `fe80::1%eth0           linkLocal
       fe80::1%25             linkLocal
       fe80:0:0:1::1%eth0     denied
       2606:4700::1111%eth0   zoned
       2606:4700::1111%a%b    zoned
       2606:4700::1111%       zoned
       fd00::1%eth0           zoned
       ::1%lo                 loopback
       ::ffff:8.8.8.8%lo      zoned
       ::ffff:10.0.0.1%lo     zoned
       ::ffff:9.9.9.9%lo      denied`,
    );
  });

  it('reads dotted tails of IPv6 as they are, not as mapped addresses', () => {
    assertKinds(
      policyOf({}),
      `::8.8.8.8              reserved
       ::0.0.0.1              loopback
       ::ffff:8.8.8.8         public
       ::ffff:0:8.8.8.8       reserved
       64:ff9b::8.8.8.8       public
       64:ff9b::10.0.0.1      private
       2606:4700::10.0.0.1    public`,
    );
  });
});

describe('own addresses', () => {
  it('are asked for at each classification', () => {
    let own: readonly string[] = [];
    const policy = createAddressPolicy({ allow: [], deny: [], ownAddresses: () => own });
    assert.equal(policy.classify('198.41.0.4'), 'public');
    own = ['198.41.0.4'];
    assert.equal(policy.classify('198.41.0.4'), 'own');
    own = [];
    assert.equal(policy.classify('198.41.0.4'), 'public');
  });

  it('are found in every spelling, and only name what would be public', () => {
    assertKinds(
      policyOf({
        own: [
          ...['127.0.0.1', '::1', '10.0.0.5', '198.41.0.4', '::ffff:198.41.0.5', 'fe80::1%eth0'],
          ...['2A01:04F8:0::1', '2a01:4f8::2%eth0', 'nonsense', '192.0.2.7', '45.1.1.1'],
        ],
        allow: ['45.1.0.0/16'],
      }),
      `127.0.0.1              loopback
       ::1                    loopback
       10.0.0.5               private
       fe80::1                linkLocal
       198.41.0.4             own
       ::ffff:198.41.0.4      own
       ::ffff:c629:4          own
       64:ff9b::c629:4        own
       198.41.0.5             own
       2a01:4f8::1            own
       2a01:4f8:0:0:0:0:0:1   own
       2a01:4f8::2            own
       192.0.2.7              own
       2a01:4f8::3            public
       198.41.0.6             public
       45.1.1.1               public`,
    );
  });
});

describe('links of this machine', () => {
  it('count as its own, and no further than their prefix', () => {
    assertKinds(
      policyOf({
        own: [
          ...['198.41.0.4/24', '45.1.1.1/31', '10.0.0.5/8', '46.4.9.9/32', '127.0.0.1/8'],
          ...['2a01:4f8:1:2::7/64', '2a01:4f9::1/128', 'fe80::1%eth0/64', 'fe80::2/64'],
          ...['2606:4700::7%eth0/48', '::ffff:62.2.2.2/120'],
        ],
      }),
      `198.41.0.0             own
       198.41.0.5             own
       198.41.0.255           own
       ::ffff:198.41.0.77     own
       64:ff9b::198.41.0.77   own
       198.40.255.255         public
       198.41.1.0             public
       45.1.1.0               own
       45.1.1.2               public
       46.4.9.9               own
       46.4.9.8               public
       10.200.0.1             private
       127.0.0.2              loopback
       2a01:4f8:1:2::         own
       2a01:4f8:1:2:ffff::1   own
       2a01:4f8:1:3::         public
       2a01:4f9::1            own
       2a01:4f9::2            public
       2606:4700:0:9::1       own
       62.2.2.2               own
       62.2.2.3               public
       fe80::77               linkLocal`,
    );
  });

  it('are overlooked where the prefix is absurd, of a tunnel, or no number', () => {
    assertKinds(
      policyOf({
        own: ['198.41.0.4/0', '198.41.1.4/7', '2a01:4f8::1/31', '45.1.1.1/33', '46.1.1.1/x'],
      }),
      `198.41.0.4             own
       198.41.1.4             own
       198.41.0.5             public
       199.0.0.1              public
       2a01:4f8::1            own
       2a01:4f8::2            public
       45.1.1.1               own
       45.1.1.2               public
       46.1.1.1               own
       46.1.1.2               public
       8.8.8.8                public`,
    );
    assertKinds(
      policyOf({ own: ['9.1.1.1/8', '2a01:4f8::1/32'] }),
      `9.255.255.255          own
       2a01:4f8:ffff::1       own`,
    );
  });

  it('do not make documentation blocks their own; the address itself is', () => {
    assertKinds(
      policyOf({ own: ['192.0.2.2/24', '2001:db8::2/64'] }),
      `192.0.2.2              own
       192.0.2.3              public
       2001:db8::2            own
       2001:db8::3            public`,
    );
  });

  it('may be opened by the operator', () => {
    assertKinds(
      policyOf({ own: ['198.41.0.4/24'], allow: ['198.41.0.64/26'] }),
      `198.41.0.65            public
       198.41.0.5             own`,
    );
  });
});

describe('deny', () => {
  const forms = `203.0.113.7
    ::ffff:203.0.113.7                         ::ffff:cb00:7107
    ::203.0.113.7                              ::cb00:7107
    ::ffff:0:203.0.113.7                       64:ff9b::203.0.113.7
    64:ff9b::cb00:7107                         64:ff9b:1::203.0.113.7
    64:ff9b:1:ffff:ffff:ffff:cb00:7107         64:ff9b:1:cb00:71:700::
    64:ff9b:1:2cb:0:7107::                     64:ff9b:1:2:cb:71:700:0
    2002:cb00:7107::                           2002:cb00:7107:1:2:3:4:5
    2001:0:cb00:7107::                         2001:0:4136:e378:8000:63bf:34ff:8ef8
    fe80::5efe:203.0.113.7                     fe80::200:5efe:203.0.113.7
    2606:4700:1:2:0:5efe:cb00:7107             2606:4700:1:2:200:5efe:cb00:7107`;
  const outside = `203.0.112.255 203.0.114.0 ::ffff:203.0.114.0 ::cb00:7207 64:ff9b::cb00:7207
    64:ff9b:1::cb00:7207 2002:cb00:7207::1 2001:0:4136:e378:8000:63bf:34ff:8df8
    2606:4700:1:2:0:5eff:cb00:7107 2606:4700:1:2:300:5efe:cb00:7107 2606:4700::cb00:7107
    2001:1:cb00:7107::`;
  const policy = policyOf({ allow: ['0.0.0.0/0', '::/0'], deny: ['203.0.113.0/24'] });

  for (const form of new Set(forms.split(/\s+/))) {
    it(`sees 203.0.113.7 in ${form}`, () => assert.equal(policy.classify(form), 'denied'));
  }
  for (const form of outside.split(/\s+/)) {
    it(`sees nothing denied in ${form}`, () => assert.equal(policy.classify(form), 'public'));
  }

  it('does not read `::` and `::1` as IPv4', () => {
    const closed = policyOf({ allow: ['::/0'], deny: ['0.0.0.0/8'] });
    assert.deepEqual(
      ['::', '::1', '::2'].map((text) => closed.classify(text)),
      ['public', 'public', 'denied'],
    );
  });
});

describe('the operator’s lists', () => {
  it('allow addresses in the mapped and NAT64 spellings too, and nothing else', () => {
    assertKinds(
      policyOf({ allow: ['10.1.0.0/16', 'fd12::/16', '127.0.0.1/32', '169.254.169.254/32'] }),
      `10.1.0.0               public
       10.1.255.255           public
       ::ffff:10.1.0.1        public
       64:ff9b::a01:1         public
       10.0.255.255           private
       10.2.0.0               private
       64:ff9b:1::a01:1       nat64Local
       2002:a01:1::           sixToFour
       ::a01:1                reserved
       fd12::1                public
       fd13::1                uniqueLocal
       127.0.0.1              public
       127.0.0.2              loopback
       ::1                    loopback
       169.254.169.254        public
       169.254.169.253        linkLocal`,
    );
  });

  it('deny wins over allow in every form', () => {
    assertKinds(
      policyOf({
        allow: ['0.0.0.0/0', '::/0'],
        deny: ['10.1.0.0/16', '8.8.8.8/32', 'fd12::/16', '::1/128'],
      }),
      `10.1.0.0               denied
       10.1.255.255           denied
       8.8.8.8                denied
       ::ffff:8.8.8.8         denied
       ::ffff:808:808         denied
       64:ff9b::808:808       denied
       64:ff9b::8.8.8.8       denied
       64:ff9b:1::808:808     denied
       ::ffff:0:808:808       denied
       2002:808:808::1        denied
       fd12::1                denied
       ::1                    denied
       8.8.8.9                public
       10.0.0.1               public
       127.0.0.1              public
       fd13::1                public`,
    );
  });

  it('do not open an IPv4 address by a range of IPv6 that its spelling lies in', () => {
    assertKinds(
      policyOf({ allow: ['::/0', '64:ff9b::/96'] }),
      `::ffff:127.0.0.1       loopback
       64:ff9b::7f00:1        loopback
       ::1                    public
       fe80::1                public`,
    );
  });

  it('read a range of mapped addresses as the IPv4 range', () => {
    assertKinds(
      policyOf({ allow: ['::ffff:10.0.0.0/104'], deny: ['::ffff:10.5.0.0/112', '64:ff9b::/96'] }),
      `10.1.1.1               public
       ::ffff:10.1.1.1        public
       10.5.1.1               denied
       ::ffff:10.5.1.1        denied
       64:ff9b::808:808       denied
       8.8.8.8                public
       192.168.0.1            private`,
    );
  });

  it('may hold a whole family', () => {
    assertKinds(
      policyOf({ deny: ['0.0.0.0/0'] }),
      `8.8.8.8                denied
       ::ffff:8.8.8.8         denied
       2606:4700::1111        public`,
    );
    assertKinds(
      policyOf({ deny: ['::/0'] }),
      `8.8.8.8                public
       ::ffff:8.8.8.8         denied
       2606:4700::1111        denied`,
    );
  });

  it('are refused where an entry is not a range', () => {
    assert.throws(() => policyOf({ allow: ['10.0.0.1'] }), /CIDR/);
    assert.throws(() => policyOf({ deny: ['10/8'] }), /CIDR/);
  });
});

describe('isCidr', () => {
  const valid =
    '0.0.0.0/0 10.0.0.0/8 10.1.2.3/8 1.2.3.4/32 ::/0 ::1/128 fd00::/8 ::ffff:1.2.3.4/100';
  const invalid =
    '10.0.0.0 10/8 10.0.0.0/33 10.0.0.0/-1 10.0.0.0/08 10.0.0.0/ /8 10.0.0.0/8/8 010.0.0.0/8 ' +
    '0x0a.0.0.0/8 ::/129 ::1 fe80::1%eth0/64 fe80::/64%eth0 [::1]/128 example/8 10.0.0.0/8x ' +
    '10.0.0.0/1e1 10.0.0.0/255.0.0.0';

  for (const text of valid.split(' ')) it(`accepts ${text}`, () => assert.ok(isCidr(text)));
  for (const text of ['', ' 10.0.0.0/8', '10.0.0.0/8\n', '10.0.0.0 /8', ...invalid.split(' ')]) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.equal(isCidr(text), false));
  }
});
