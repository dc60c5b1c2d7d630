import { readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { applyBatch } from '../../../scheduler/apply/index.ts'
import { decodeBatch, encodeBatch } from '../../../scheduler/codec.ts'
import { drainChanges, loadState, stateChecksum } from '../../../scheduler/records.ts'
import { isHotKey } from '../../../scheduler/keys.ts'
import { createState } from '../../../scheduler/state.ts'
import { generateLog } from '../../helpers/scheduler-log.ts'

/** Recorded by `UPDATE=1 vitest run test/unit/scheduler/replay.test.ts`, in the format that `tools/replay-log.ts` reads. */
const FILE = new URL('../../fixtures/scheduler-log.txt', import.meta.url)
/** Of the state after the recorded log. It changes only with a version of the encodings or a rule of `apply`. */
const CHECKSUM = '4f4bc33dd46a8f16'

if (process.env['UPDATE'] === '1') {
  const entries = [...generateLog(20_261_123, 400)].map((batch) => encodeBatch(batch))
  writeFileSync(FILE, entries.map((entry) => Buffer.from(entry).toString('base64') + '\n').join(''))
}

const entries = readFileSync(FILE, 'utf8')
  .split('\n')
  .filter(Boolean)
  .map((line) => new Uint8Array(Buffer.from(line, 'base64')))

test('a log recorded earlier leads to the same state', () => {
  const state = createState()
  for (const entry of entries) {
    applyBatch(state, decodeBatch(entry), [])
    drainChanges(state)
  }
  expect(stateChecksum(state)).toBe(CHECKSUM)
})

test('recorded entries encode to the same bytes again', () => {
  for (const entry of entries) expect(encodeBatch(decodeBatch(entry))).toEqual(entry)
})

test('the recorded log gives the same from a snapshot at any of many entries', () => {
  const whole = createState()
  const rows = new Map<string, Uint8Array>()
  for (const [index, entry] of entries.entries()) {
    applyBatch(whole, decodeBatch(entry), [])
    const { deletes, puts } = drainChanges(whole)
    for (const key of deletes) rows.delete(key)
    for (const { key, value } of puts) if (isHotKey(key)) rows.set(key, value)
    if (index % 40 !== 13) continue
    const resumed = loadState([...rows].map(([key, value]) => ({ key, value })))
    for (const later of entries.slice(index + 1)) applyBatch(resumed, decodeBatch(later), [])
    drainChanges(resumed)
    expect(stateChecksum(resumed)).toBe(CHECKSUM)
  }
})
