import { expect, test } from 'vitest'
import { answerJudge, answerReplay } from '../../../../node/optimizer/replays.ts'
import type { ReplayRequest } from '../../../../node/optimizer/protocol.ts'
import { History } from '../../../../optimizer/guard/history.ts'
import { NOTHING_UNENDED } from '../../../../optimizer/guard/unended.ts'
import { busyHistory, nodeFacts, unended } from '../../optimizer/guard/fixture.ts'

const TASKS = 300
const history = new History(2 * TASKS)
for (const task of busyHistory(2 * TASKS)) history.add(task)
const request: ReplayRequest = {
  type: 'replay',
  count: TASKS,
  nodes: [nodeFacts(1)],
  unended: NOTHING_UNENDED,
  contenders: ['least-loaded', 'learned'].map((name) => ({ name, policy: name, weights: undefined }))
}

/** Counts calls, by contender; the one that is told so breaks off in the part of that number. */
function pacing(brokenPart = Infinity) {
  const calls = [0]
  return {
    calls,
    part: () => calls.push(0),
    pace: () => {
      calls.push((calls.pop() ?? 0) + 1)
      if (calls.length > brokenPart) throw new Error('too long')
    }
  }
}

test('a replay that is paced comes to what it comes to otherwise, and never works long without a pause', () => {
  const paced = pacing()
  const { arrivedAt } = history.newest(TASKS)[0]!
  const tasks = Array.from({ length: 50 }, (_, at) => unended(1e6 + at, { name: 'short', arrivedAt }))
  const whole = { ...request, unended: { tasks, others: 0 } }
  const answer = answerReplay(history, whole, paced)
  expect(answer).toEqual(answerReplay(history, whole))
  expect(answer.drawn).toBe(50)
  // Before them each ended task is looked at for what others like it may take, and each other is given its run time.
  expect(paced.calls[0]).toBeGreaterThan(2 * TASKS + 50)
  // Each contender hears of two moments of each older task, and of each of its own tasks when it comes, is placed and ends.
  expect(paced.calls).toHaveLength(3)
  for (const calls of paced.calls.slice(1)) expect(calls).toBeGreaterThan(5 * TASKS)
})

test('a contender that is broken off has failed in the replay; without the base there is none', () => {
  expect(answerReplay(history, request, pacing(2)).failures).toEqual([
    { name: 'learned', message: 'Error: too long' }
  ])
  expect(() => answerReplay(history, request, pacing(1))).toThrow('too long')
})

test('a model is promoted for completion times where most of what arrived has ended, and not where more is missing or drawn', () => {
  const losses = Float64Array.from({ length: 128 }, (_, at) => 1 + (at % 7) / 10)
  const contenders = ['fifo', 'shortest-first'].map((policy) => ({
    name: policy,
    policy,
    weights: undefined
  }))
  const { arrivedAt } = history.newest(TASKS)[0]!
  const verdict = (drawn: number, others: number): string => {
    const tasks = Array.from({ length: drawn }, (_, at) => unended(1e6 + at, { name: 'short', arrivedAt }))
    const replay = { ...request, contenders, unended: { tasks, others } }
    const judged = { incumbent: losses, challenger: losses, last: false }
    return answerJudge(history, { type: 'judge', ...judged, replay }).verdict
  }
  const half = TASKS / 2
  expect(verdict(0, 0)).toBe('promote')
  expect([verdict(0, half), verdict(0, half + 1)]).toEqual(['promote', 'wait'])
  expect([verdict(half, 0), verdict(half + 1, 0)]).toEqual(['promote', 'wait'])
  expect([verdict(half / 2, half / 2), verdict(half / 2, half / 2 + 1)]).toEqual(['promote', 'wait'])
})
