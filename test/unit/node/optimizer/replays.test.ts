import { expect, test } from 'vitest'
import { answerJudge, answerReplay } from '../../../../node/optimizer/replays.ts'
import type { ReplayRequest } from '../../../../node/optimizer/protocol.ts'
import { History } from '../../../../optimizer/guard/history.ts'
import { busyHistory, nodeFacts } from '../../optimizer/guard/fixture.ts'

const TASKS = 300
const history = new History(2 * TASKS)
for (const task of busyHistory(2 * TASKS)) history.add(task)
const request: ReplayRequest = {
  type: 'replay',
  count: TASKS,
  nodes: [nodeFacts(1)],
  liveArrivals: new Float64Array(),
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
  expect(answerReplay(history, request, paced)).toEqual(answerReplay(history, request))
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

test('a model is not promoted for completion times of what the policy in charge let end first', () => {
  const losses = Float64Array.from({ length: 128 }, (_, at) => 1 + (at % 7) / 10)
  const contenders = ['fifo', 'shortest-first'].map((policy) => ({
    name: policy,
    policy,
    weights: undefined
  }))
  const { fromAt } = answerReplay(history, request)
  const verdict = (unended: number): string => {
    const liveArrivals = new Float64Array(unended).fill(fromAt)
    const replay = { ...request, contenders, liveArrivals }
    const judged = { incumbent: losses, challenger: losses, last: false }
    return answerJudge(history, { type: 'judge', ...judged, replay }).verdict
  }
  expect([0, TASKS / 2, TASKS / 2 + 1].map(verdict)).toEqual(['promote', 'promote', 'wait'])
})
