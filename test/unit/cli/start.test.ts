import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { runHere } from '../../helpers/cli.ts'

const folder = mkdtempSync(join(tmpdir(), 'dtss-start-'))
afterAll(() => {
  rmSync(folder, { recursive: true })
})

const data = join(folder, 'data')

async function refusedStart(...argv: string[]): Promise<{ code: number; err: string }> {
  const ports = ['--http-port', '0', '--peer-port', '0']
  return await runHere(['start', '--data', data, ...ports, '--log-level', 'silent', ...argv])
}

test.each([
  [['--resource', 'gpu=1.5'], '--resource gpu: got 1.5, expected an integer in'],
  [['--resource', 'gpu=-1'], '--resource gpu: got -1, expected an integer in'],
  [['--resource', 'gpu='], 'got "", expected an integer'],
  [['--resource', 'memory=4GB'], 'got "4GB", expected an integer'],
  [['--resource', '__proto__=1'], '--resource: got "__proto__", expected another name'],
  [['--label', `team=${'x'.repeat(200)}`], '--label team: got'],
  [
    Array.from({ length: 65 }, (_, label) => ['--label', `l${label}=`]).flat(),
    '--label: got 65, expected at most 64'
  ],
  [['--slots', '20000'], 'got "20000", expected an integer from 0 to 10000']
])('an offer that the cluster would refuse is a usage error: %s', async (argv, message) => {
  const { code, err } = await refusedStart(...argv)
  expect(err).toContain(message)
  expect(err).toContain('(USAGE)')
  expect(code).toBe(2)
  expect(existsSync(data)).toBe(false)
})

test.each([
  [['--handlers', 'nosuch'], '--handlers: got "nosuch", expected a folder that exists (CONFIG_INVALID)'],
  [['--join', 'foo'], '--join: got "foo", expected an address such as'],
  [['--http-host', '0.0.0.0'], 'expected a loopback address'],
  [['--peer-host', '192.0.2.77'], '--peer-host: got "192.0.2.77", expected an address to listen on']
])(
  'a start that cannot succeed founds no cluster, and is a wrong command line: %s',
  async (argv, message) => {
    const { code, err } = await refusedStart(...argv)
    expect(err).toContain(message)
    expect(code).toBe(2)
    expect(existsSync(data)).toBe(false)
  }
)

test.each(['--http-port', '--peer-port'])('a start on a taken %s founds no cluster', async (option) => {
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
  try {
    const { port } = taken.address() as AddressInfo
    const { code, err } = await refusedStart(option, String(port))
    expect(err).toContain(`port: got ${port}, expected one that is free on 127.0.0.1 (PORT_IN_USE)`)
    expect(code).toBe(1)
    expect(existsSync(data)).toBe(false)
  } finally {
    taken.close()
  }
})

test.each([
  [['--nodes', '0'], 'expected an integer from 1 to 64'],
  [['--nodes', '65'], 'expected an integer from 1 to 64'],
  [['--handlers', 'nosuch'], '--handlers: got "nosuch", expected a folder that exists'],
  [['--example', 'nope'], '--example: got "nope"']
])('dev refuses a wrong command line before it starts anything: %s', async (argv, message) => {
  const { code, err } = await runHere(['dev', ...argv])
  expect(err).toContain(message)
  expect(code).toBe(2)
})
