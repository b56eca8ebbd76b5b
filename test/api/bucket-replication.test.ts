/** The `?replication` subresource of the host's S3 API: XML for rules, errors as S3 writes them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { ruleBody, targetBody, uniqueSecret, uuid } from '../support/replication-bodies.ts';
import { startReplicationHost, type ReplicationHost } from '../support/replication-host.ts';

const parser = new XMLParser({ ignoreAttributes: false, parseTagValue: false, trimValues: false });
const PATH = '/photos?replication';

interface XmlAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly xml: {
    readonly Error: { readonly Message: string };
    readonly ReplicationConfiguration: unknown;
  };
}

async function requestXml(host: ReplicationHost, method: string): Promise<XmlAnswer> {
  const { status, headers, text } = await host.request(method, PATH);
  if (text !== '') {
    assert.equal(XMLValidator.validate(text), true, text);
    assert.match(headers.get('content-type') ?? '', /^application\/xml/);
    assert.match(text, /^<\?xml version="1\.0" encoding="UTF-8"\?>\n</);
  }
  return { status, headers, text, xml: parser.parse(text) as XmlAnswer['xml'] };
}

function assertError(answer: XmlAnswer, status: number, code: string): void {
  assert.equal(answer.status, status);
  assert.deepEqual(
    { ...answer.xml.Error, Message: undefined },
    { Code: code, Message: undefined, Resource: '/photos', RequestId: 'S3REQUEST' },
  );
}

describe('?replication', () => {
  it('GET lists all rules, the disabled ones too, the first with the highest priority', async (t) => {
    const host = await startReplicationHost(t);
    const secret = uniqueSecret();
    await host.putTargets([targetBody({ id: uuid(1), secretAccessKey: secret })]);
    await host.putRules([
      ruleBody({ id: uuid(4), targetId: uuid(1), prefix: 'a<b>&"\'/' }),
      ruleBody({
        id: uuid(5),
        targetId: uuid(1),
        enabled: false,
        replicateDeletes: false,
        replicateExisting: true,
      }),
    ]);
    const answer = await requestXml(host, 'GET');
    assert.equal(answer.status, 200);
    const destination = { Bucket: `arn:alarik:replication:::${uuid(1)}` };
    assert.deepEqual(answer.xml.ReplicationConfiguration, {
      '@_xmlns': 'http://s3.amazonaws.com/doc/2006-03-01/',
      Rule: [
        {
          ID: uuid(4),
          Priority: '2',
          Filter: { Prefix: 'a<b>&"\'/' },
          Status: 'Enabled',
          ExistingObjectReplication: { Status: 'Disabled' },
          DeleteMarkerReplication: { Status: 'Enabled' },
          Destination: destination,
        },
        {
          ID: uuid(5),
          Priority: '1',
          Filter: { Prefix: '' },
          Status: 'Disabled',
          ExistingObjectReplication: { Status: 'Enabled' },
          DeleteMarkerReplication: { Status: 'Disabled' },
          Destination: destination,
        },
      ],
    });
    assert.equal(answer.text.includes(secret) || answer.text.includes('AKIA'), false);
  });

  it('GET without rules is a 404 of S3’s own code, with targets too', async (t) => {
    const host = await startReplicationHost(t);
    assertError(await requestXml(host, 'GET'), 404, 'ReplicationConfigurationNotFoundError');
    await host.putTargets([targetBody()]);
    assertError(await requestXml(host, 'GET'), 404, 'ReplicationConfigurationNotFoundError');
  });

  it('DELETE removes the rules and leaves the targets, is audited, and may be repeated', async (t) => {
    const host = await startReplicationHost(t);
    await host.putTargets([targetBody({ id: uuid(1) })]);
    await host.putRules([ruleBody({ id: uuid(4), targetId: uuid(1) })]);
    const answer = await requestXml(host, 'DELETE');
    assert.deepEqual([answer.status, answer.text], [204, '']);
    assert.equal((await host.getRules()).text, '{"rules":[]}');
    assert.equal((await host.getTargets()).json.targets.length, 1);
    const line = host.audits().at(-1);
    assert.deepEqual(
      [line?.['audit'], line?.['userId'], line?.['removed'], line?.['requestId']],
      ['rules-replaced', 'owner', [{ id: uuid(4) }], 'S3REQUEST'],
    );
    assert.equal((await requestXml(host, 'DELETE')).status, 204);
  });

  it('PUT is a 501 that points to the JSON API and changes nothing', async (t) => {
    const host = await startReplicationHost(t);
    const answer = await requestXml(host, 'PUT');
    assertError(answer, 501, 'NotImplemented');
    assert.match(answer.xml.Error.Message, /JSON API .*\/replication/);
    assert.equal((await host.getRules()).headers.get('etag'), '"0"');
    assert.deepEqual(host.logs, []);
  });

  it('other methods get 405 with Allow', async (t) => {
    const host = await startReplicationHost(t);
    for (const method of ['POST', 'PATCH', 'OPTIONS']) {
      const answer = await requestXml(host, method);
      assertError(answer, 405, 'MethodNotAllowed');
      assert.equal(answer.headers.get('allow'), 'GET, PUT, DELETE');
    }
  });

  it('an unexpected failure is a 500 without its cause', async (t) => {
    const host = await startReplicationHost(t);
    await host.plugin.close();
    assertError(await requestXml(host, 'GET'), 503, 'ServiceUnavailable');
  });
});
