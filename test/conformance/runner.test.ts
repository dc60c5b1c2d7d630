/** The runner itself: a difference must be told, and only a difference. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseCommandLine, parseScript } from '../../tools/conformance/datadriven.ts'
import { findScripts, runScript } from '../../tools/conformance/runner.ts'

const LEADER = `add-nodes 1 voters=(1) index=3
----
INFO 1 switched to configuration voters=(1)
INFO 1 became follower at term 0
INFO newRaft 1 [peers: [1], term: 0, commit: 3, applied: 3, lastindex: 3, lastterm: 1]

campaign 1
----
INFO 1 is starting a new election at term 0
INFO 1 became candidate at term 1
`

test('a script that prints what it expects passes without a diff', () => {
  expect(runScript('a', 'interaction', LEADER)).toMatchObject({ passed: true, directives: 2, diff: '' })
})

test('one differing byte fails the file, and the diff shows both lines', () => {
  const result = runScript('a', 'interaction', LEADER.replace('candidate at', 'candidate  at'))
  expect(result.passed).toBe(false)
  expect(result.diff).toContain('-INFO 1 became candidate  at term 1')
  expect(result.diff).toContain('+INFO 1 became candidate at term 1')
})

test('a missing line fails the file', () => {
  const shortened = LEADER.replace('INFO 1 became candidate at term 1\n', '')
  expect(runScript('a', 'interaction', shortened).passed).toBe(false)
})

test('normalised, log lines do not count but everything else does', () => {
  const other = LEADER.replace('became candidate', 'is a candidate')
  expect(runScript('a', 'interaction', other, { normalise: true }).passed).toBe(true)
  const withState = `${LEADER}\nraft-state\n----\n1: StateLeader (Voter) Term:1 Lead:1\n`
  expect(runScript('a', 'interaction', withState, { normalise: true }).passed).toBe(false)
})

test('an impossible command ends the file with its reason in the diff', () => {
  const result = runScript('a', 'interaction', 'process-ready 7\n----\nok\n')
  expect(result.passed).toBe(false)
  expect(result.diff).toContain('there is no node 7')
})

test('an unknown command is an expected output like any other', () => {
  expect(runScript('a', 'interaction', 'dance 1\n----\nunknown command\n').passed).toBe(true)
  expect(runScript('a', 'confchange', 'dance\n----\nunknown command\n').passed).toBe(true)
})

test('command lines split into bare words, values and lists of values', () => {
  expect(parseCommandLine('go 1 a=b c=(1, 2,3) d=()')).toEqual({
    command: 'go',
    args: [
      { key: '1', values: [] },
      { key: 'a', values: ['b'] },
      { key: 'c', values: ['1', '2', '3'] },
      { key: 'd', values: ['()'] }
    ]
  })
})

test('directives hold their input, continue over line ends, and may expect blank lines between double separators', () => {
  const [first, second] = parseScript(
    '# note\n\none \\\n  two\nin\nput\n----\nout\n\nthree\n----\n----\na\n\nb\n----\n----\n'
  )
  expect(first).toMatchObject({ line: 3, command: 'one', input: 'in\nput', expected: 'out\n' })
  expect(first?.args).toEqual([{ key: 'two', values: [] }])
  expect(second).toMatchObject({ command: 'three', expected: 'a\n\nb\n' })
})

test('a folder without scripts, and no folder at all, are errors', () => {
  const folder = mkdtempSync(join(tmpdir(), 'conformance-'))
  try {
    expect(() => findScripts(folder)).toThrow(/holds no scripts/)
    expect(() => findScripts(join(folder, 'absent'))).toThrow(/ENOENT/)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
