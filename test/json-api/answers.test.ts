/** The shape of error answers, apart from any route. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { errorBody } from '../../src/json-api/answers.ts';
import { transportError } from '../../src/json-api/errors.ts';
import { createValidator } from '../../src/json-api/validator.ts';

describe('error bodies', () => {
  it('carry at most 32 details, the first ones', () => {
    const details = Array.from({ length: 40 }, (_, n) => ({ path: `/${n}`, message: 'is wrong' }));
    const body = errorBody(transportError('InvalidRequest', { details }));
    assert.deepEqual(Object.keys(body), ['error', 'reason', 'code', 'details']);
    assert.deepEqual(body.details, details.slice(0, 32));
  });

  it('show nothing of the cause', () => {
    const cause = new Error('at /srv/secret');
    const body = errorBody(transportError('InternalError', { cause }));
    assert.equal(JSON.stringify(body).includes('/srv'), false);
  });
});

describe('validator', () => {
  const schema = {
    type: 'object',
    'x-expected': 'an object',
    required: ['list', 'name'],
    properties: {
      list: {
        type: 'array',
        maxItems: 2,
        items: { type: 'string', 'x-expected': 'text' },
        'x-expected': 'at most 2 texts',
      },
      name: { type: 'string', minLength: 2, pattern: '^a' },
      size: { type: 'string', 'x-maxBytes': 4, 'x-expected': 'short' },
    },
  };
  const validate = createValidator(schema);

  it('names every failure once by field, with what is expected', () => {
    assert.deepEqual(validate({ list: [1, 'a'], name: '', size: 'ééé' }), [
      { path: '/list/0', message: 'must be text' },
      { path: '/name', message: 'must NOT have fewer than 2 characters' },
      { path: '/size', message: 'must be short' },
    ]);
    assert.deepEqual(validate({}), [
      { path: '/list', message: 'is required and must be at most 2 texts' },
      { path: '/name', message: 'is required' },
    ]);
    assert.deepEqual(validate(7), [{ path: '', message: 'must be an object' }]);
  });

  it('looks at no item of a list that is too long', () => {
    const items = new Proxy([1, 2, 3], {
      get: (list, key) => {
        assert.equal(/^\d+$/.test(String(key)), false, `item ${String(key)} was read`);
        return Reflect.get(list, key) as unknown;
      },
    });
    assert.deepEqual(validate({ list: items, name: 'ab' }), [
      { path: '/list', message: 'must be at most 2 texts' },
    ]);
  });

  it('accepts what fits, counts bytes, and does not change it', () => {
    const value = Object.freeze({ list: Object.freeze(['x']), name: 'ab', size: 'éé', extra: 1 });
    assert.deepEqual(validate(value), []);
  });
});
