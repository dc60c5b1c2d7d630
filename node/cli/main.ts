#!/usr/bin/env node
import { EXIT } from './context.ts'
import { endOnLostOutput } from './lost-output.ts'
import { runCli } from './run-cli.ts'
import { packageVersion } from './version.ts'

const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    interrupted.abort(new Error(`stopped by ${signal}`))
  })
}
endOnLostOutput('dtss')

process.exitCode = await runCli(
  process.argv.slice(2),
  {
    stdout: process.stdout,
    stderr: process.stderr,
    stdin: process.stdin,
    env: process.env,
    signal: interrupted.signal,
    fetch: (input, init) => fetch(input, init),
    now: () => Date.now(),
    exitCode: EXIT.ok
  },
  packageVersion()
)
