import tseslint from 'typescript-eslint'

/** Folders whose code must compute the same on every node: no clock, no randomness, no I/O. */
const PURE = [
  'base/**/*.ts',
  'consensus/**/*.ts',
  'scheduler/**/*.ts',
  'optimizer/**/*.ts',
  'runtime/**/*.ts'
]
/** Folders whose results enter the replicated state: floating-point functions that engines may round differently are banned too. */
const REPLICATED = ['base/**/*.ts', 'consensus/**/*.ts', 'scheduler/**/*.ts']

const hiddenInput = [
  { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: 'take `now` as an argument' },
  { selector: "CallExpression[callee.name='Date']", message: 'take `now` as an argument' },
  {
    selector: "CallExpression[callee.property.name='localeCompare']",
    message: 'depends on ICU; compare code units'
  },
  {
    selector: 'CallExpression[callee.property.name=/^to(Locale)?(Lower|Upper)Case$/]',
    message: 'depends on ICU'
  },
  {
    selector: 'Literal[regex.pattern=/\\\\p\\{/]',
    message: '\\p{…} depends on the Unicode version of the engine'
  }
]
const transcendental = [
  'sin',
  'cos',
  'tan',
  'asin',
  'acos',
  'atan',
  'atan2',
  'sinh',
  'cosh',
  'tanh',
  'exp',
  'expm1',
  'log',
  'log2',
  'log10',
  'log1p',
  'pow',
  'cbrt',
  'hypot'
]
const hiddenProperties = [
  { object: 'Date', property: 'now' },
  { object: 'Math', property: 'random' }
]

export default tseslint.config(
  { ignores: ['dist/**', '*.js', '*.cjs', 'vitest.config.ts', 'examples/**/*.js', 'examples/**/*.mjs'] },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true }
      ],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true }
      ],
      'max-lines': ['error', { max: 400, skipBlankLines: true, skipComments: true }],
      'max-lines-per-function': ['error', { max: 70, skipBlankLines: true, skipComments: true }],
      'no-console': 'error',
      eqeqeq: 'error'
    }
  },
  {
    files: PURE,
    rules: {
      'no-restricted-globals': [
        'error',
        'setTimeout',
        'setInterval',
        'setImmediate',
        'queueMicrotask',
        'process',
        'performance',
        'fetch',
        'crypto',
        'Intl',
        'Buffer'
      ],
      'no-restricted-properties': ['error', ...hiddenProperties],
      'no-restricted-syntax': ['error', ...hiddenInput],
      'no-restricted-imports': ['error', { patterns: ['node:*', '**/node/**', '**/api/**'] }]
    }
  },
  {
    files: REPLICATED,
    rules: {
      'no-restricted-properties': [
        'error',
        ...hiddenProperties,
        ...transcendental.map((property) => ({ object: 'Math', property }))
      ]
    }
  },
  {
    files: ['test/**/*.ts'],
    rules: { 'max-lines-per-function': 'off', '@typescript-eslint/no-non-null-assertion': 'off' }
  },
  {
    files: ['bench/**/*.ts', 'node/cli/**/*.ts', 'examples/**/*.ts', 'tools/**/*.ts'],
    rules: { 'no-console': 'off' }
  }
)
