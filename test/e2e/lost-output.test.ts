/** A report that cannot be written is no success. Needs the build. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'

const BENCH = resolve('dist/bench/main.js')
const CLI = resolve('dist/node/cli/main.js')
const COMMANDS = [
  [BENCH, 'policies', '--list'],
  [BENCH, 'estimators', '--help'],
  [CLI, 'lab', '--list']
]

test.each(COMMANDS)('%s %s %s: a full disk ends with 1 and says why', async (...argv) => {
  const full = openSync('/dev/full', 'w')
  const child = spawn(process.execPath, argv, { stdio: ['ignore', full, 'pipe'] })
  closeSync(full)
  let said = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text))
  const [code] = (await once(child, 'close')) as [number]
  expect([code, said]).toEqual([1, expect.stringContaining('standard output: ENOSPC')])
})

test.each(COMMANDS)('%s %s %s: a reader that has seen enough is no error', async (...argv) => {
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'pipe'] })
  child.stdout.destroy()
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
  const [code] = (await once(child, 'close')) as [number]
  expect([code, said]).toEqual([0, ''])
})
