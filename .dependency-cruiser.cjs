/** The arrows of docs/ARCHITECTURE.md, enforced. A test asserts that the cruiser saw modules at all. */
const TOP = '^(bench|test|examples|tools)/'
const layer = (name, from, forbidden) => ({
  name,
  severity: 'error',
  from: { path: from },
  to: { path: forbidden }
})
module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    layer('base-is-bottom', '^base/', '^(consensus|scheduler|optimizer|runtime|api|client|node|sim|web)/'),
    layer(
      'consensus-knows-only-base',
      '^consensus/',
      '^(scheduler|optimizer|runtime|api|client|node|sim|web)/'
    ),
    layer(
      'scheduler-knows-only-base',
      '^scheduler/',
      '^(consensus|optimizer|runtime|api|client|node|sim|web)/'
    ),
    layer('optimizer-sees-scheduler', '^optimizer/', '^(consensus|runtime|api|client|node|sim|web)/'),
    layer('runtime-orders-io-over-ports', '^runtime/', '^(optimizer|api|client|node|sim|web)/'),
    layer('sim-never-sees-real-adapters', '^sim/', '^(node|api|web)/'),
    layer('api-declares-its-ports', '^api/', '^(consensus|optimizer|runtime|node|sim|web)/'),
    layer('client-sees-only-base', '^client/', '^(consensus|scheduler|optimizer|runtime|api|node|sim|web)/'),
    layer(
      'production-never-imports-tests',
      '^(base|consensus|scheduler|optimizer|runtime|api|client|node|sim|web)/',
      TOP
    ),
    {
      name: 'core-has-no-io',
      severity: 'error',
      from: { path: '^(base|consensus|scheduler|optimizer|runtime)/' },
      to: { dependencyTypes: ['core'] }
    },
    {
      name: 'core-npm-is-allow-listed',
      severity: 'error',
      from: { path: '^(base|consensus|scheduler|runtime)/', pathNot: '^base/wire/' },
      to: {
        dependencyTypes: ['npm', 'npm-dev', 'npm-optional', 'npm-peer'],
        pathNot: 'node_modules/(msgpackr|crc-32)/'
      }
    },
    {
      name: 'wire-npm-is-typebox',
      severity: 'error',
      from: { path: '^base/wire/' },
      to: {
        dependencyTypes: ['npm', 'npm-dev', 'npm-optional', 'npm-peer'],
        pathNot: 'node_modules/typebox/'
      }
    },
    {
      name: 'optimizer-npm-is-allow-listed',
      severity: 'error',
      from: { path: '^optimizer/' },
      to: {
        dependencyTypes: ['npm', 'npm-dev', 'npm-optional', 'npm-peer'],
        pathNot: 'node_modules/@tensorflow/tfjs-(core|layers)/'
      }
    }
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' }
  }
}
