import js from '@eslint/js';
import tseslint from 'typescript-eslint';

/**
 * Direction of dependencies: which folders of src/ a folder may not import. `disk`, `json-api`, `lmdb`
 * and `sealing` are leaves that everything may use; the reference server reaches the plugin only through
 * plugin.json and the types of host.ts.
 */
const plugin = ['model', 'store', 'egress', 'engine', 'api'];
const forbidden = {
  disk: [...plugin, 'json-api', 'lmdb', 'sealing', 'server', 'plugin.ts'],
  'json-api': [...plugin, 'disk', 'lmdb', 'sealing', 'server', 'plugin.ts'],
  lmdb: [...plugin, 'json-api', 'sealing', 'server', 'plugin.ts'],
  sealing: [...plugin, 'disk', 'json-api', 'lmdb', 'server', 'plugin.ts'],
  model: ['store', 'egress', 'engine', 'api', 'disk', 'lmdb', 'sealing', 'server', 'plugin.ts'],
  store: ['egress', 'engine', 'api', 'server', 'plugin.ts'],
  egress: ['store', 'engine', 'api', 'lmdb', 'server', 'plugin.ts'],
  engine: ['api', 'lmdb', 'server', 'plugin.ts'],
  api: ['store', 'lmdb', 'server', 'plugin.ts'],
  server: ['model(?!/generated/)', 'store', 'egress', 'engine', 'api', 'plugin.ts'],
};
const forbiddenPackages = {
  disk: ['koa', 'undici', 'lmdb'],
  'json-api': ['lmdb', 'undici'],
  lmdb: ['koa', 'undici'],
  sealing: ['koa', 'undici', 'lmdb'],
  model: ['lmdb', 'undici', 'koa', '@koa/router'],
  store: ['undici', 'koa', '@koa/router'],
  egress: ['lmdb', 'koa', '@koa/router'],
  engine: ['lmdb', 'undici', 'koa', '@koa/router'],
  api: ['lmdb', 'undici'],
  server: ['undici'],
};

const importDirection = Object.entries(forbidden).map(([folder, targets]) => ({
  files: [`src/${folder}/**/*.ts`],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        paths: forbiddenPackages[folder].map((name) => ({
          name,
          message: `src/${folder} must not depend on ${name}.`,
        })),
        patterns: [
          {
            regex: `^(\\.\\./)+(${targets.join('|').replaceAll('.', '\\.')})(/|$)`,
            message: `src/${folder} must not import this folder (see ARCHITECTURE.md, code map).`,
          },
        ],
      },
    ],
  },
}));

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', 'src/model/generated/'] },
  js.configs.recommended,
  {
    files: ['**/*.ts', '**/*.cts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', ignoreRestSiblings: true },
      ],
      '@typescript-eslint/require-await': 'off',
    },
  },
  {
    files: ['src/**/*.ts', 'src/**/*.cts'],
    rules: { 'no-restricted-exports': ['error', { restrictDefaultExports: { direct: true } }] },
  },
  {
    // node:test's describe and it return promises that the runner itself awaits.
    files: ['test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            {
              from: 'package',
              name: [
                'describe',
                'it',
                'test',
                'before',
                'after',
                'beforeEach',
                'afterEach',
                'suite',
              ],
              package: 'node:test',
            },
          ],
        },
      ],
    },
  },
  {
    // What is random in a test comes from one place (test/support/seed.ts).
    files: ['test/**/*.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        {
          object: 'fc',
          property: 'assert',
          message: 'Use assertProperty of test/support/seed.ts.',
        },
        { object: 'Math', property: 'random', message: 'Use the seed of test/support/seed.ts.' },
      ],
    },
  },
  {
    // The suites look into the JSON answers of servers freely.
    files: ['test/suites/**/*.ts'],
    rules: {
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
    },
  },
  {
    files: ['scripts/**/*.mjs', 'eslint.config.js'],
    languageOptions: { globals: { process: 'readonly', console: 'readonly', URL: 'readonly' } },
  },
  ...importDirection,
);
