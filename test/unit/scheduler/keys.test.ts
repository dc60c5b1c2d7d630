import { expect, test } from 'vitest'
import { incarnation, nodeId, taskId } from '../../../base/ids.ts'
import {
  HISTORY_ROWS,
  HOT_ROWS,
  blobKey,
  historyIndexKey,
  historyIndexRows,
  historyKey,
  idempotencyKey,
  isHotKey,
  sessionKey,
  taskKey,
  tombstoneKey
} from '../../../scheduler/keys.ts'

const within = (key: string, range: { gte: string; lt: string }): boolean =>
  key >= range.gte && key < range.lt

test('keys stand in the order of their numbers, up to the largest', () => {
  const ids = [1, 9, 10, 99, 2 ** 40, Number.MAX_SAFE_INTEGER].map(taskId)
  for (const key of [taskKey, tombstoneKey, historyKey]) {
    expect(ids.map(key).sort()).toEqual(ids.map(key))
  }
})

test('hot rows, history and the index by status are ranges of their own', () => {
  const id = taskId(5)
  for (const key of [taskKey(id), sessionKey(nodeId(1), incarnation(2)), idempotencyKey('\uffff')]) {
    expect([isHotKey(key), within(key, HOT_ROWS), within(key, HISTORY_ROWS)]).toEqual([true, true, false])
  }
  for (const key of [historyKey(id), historyIndexKey('failed', id), blobKey(id, 'input')]) {
    expect([isHotKey(key), within(key, HOT_ROWS)]).toEqual([false, false])
  }
  expect(within(historyKey(id), HISTORY_ROWS)).toBe(true)
  expect(within(historyIndexKey('failed', id), HISTORY_ROWS)).toBe(false)
  expect(within(historyIndexKey('failed', id), historyIndexRows('failed'))).toBe(true)
  expect(within(historyIndexKey('failed', id), historyIndexRows('skipped'))).toBe(false)
})
