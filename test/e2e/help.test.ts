import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'

test.each([
  ['bench/main.js', [], /^Usage: npm run bench -- NAME/],
  ['bench/main.js', ['raft'], /^Usage: raft \[options\]/],
  ['bench/main.js', ['throughput'], /^Usage: throughput \[options\]/],
  ['bench/main.js', ['isolation'], /^Usage: isolation \[options\]/],
  ['bench/main.js', ['scheduler'], /^Usage: scheduler \[options\]/],
  ['bench/main.js', ['policies'], /npm run bench -- policies --trace PATH/],
  ['bench/main.js', ['estimators'], /npm run bench -- estimators --trace PATH/],
  ['bench/main.js', ['sim'], /^Usage: sim \[options\]/],
  ['bench/main.js', ['live'], /^Usage: live \[options\]/],
  ['bench/main.js', ['failover'], /^Usage: failover \[options\]/],
  ['bench/main.js', ['bad-input'], /^Usage: bad-input \[options\]/],
  ['tools/replay-log.js', [], /^usage: replay-log FILE/],
  ['tools/conformance/main.js', [], /^usage: npm run conformance/]
])('%s %s --help prints the usage, and runs nothing', (program, names, usage) => {
  const args = [`dist/${program}`, ...names, '--help']
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  expect(stdout).toMatch(usage)
  expect(stdout).not.toContain('{"')
  expect([status, stderr]).toEqual([0, ''])
})
