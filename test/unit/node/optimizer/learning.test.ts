import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { nodeId, taskId } from '../../../../base/ids.ts'
import { BEAT_MS } from '../../../../node/optimizer/bounds.ts'
import { Trainer } from '../../../../node/optimizer/trainer.ts'
import { Learning, type LearningOptions } from '../../../../node/optimizer/learning.ts'
import * as replayRequests from '../../../../node/optimizer/replay-requests.ts'
import { REPLAY_EVERY } from '../../../../optimizer/guard/policy-choice.ts'
import { PointPrediction } from '../../../../optimizer/estimate.ts'
import type { NodeRuntime } from '../../../../runtime/node-runtime.ts'
import type { Draft } from '../../../../runtime/proposals/forwarder.ts'
import type { Command } from '../../../../scheduler/commands.ts'
import { drainChanges } from '../../../../scheduler/records.ts'
import { Machine, START, spec } from '../../../helpers/scheduler.ts'
import { opinionated } from './rows.ts'

vi.mock(import('../../../../node/optimizer/replay-requests.ts'), { spy: true })

const QUIET = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }
const NO_BYTES = new Uint8Array(0)

let machine: Machine
let learning: Learning
let proposed: Draft[]
/** What proposals are answered with; undefined: they are taken. */
let refusal: Error | undefined
/** The policy that this node runs as a leader. */
let running: string | undefined

/** A node's runtime, as far as learning looks at it: a task machine, an empty store, and what was proposed. */
async function attach(options: Partial<LearningOptions> = {}): Promise<void> {
  machine = new Machine().withNodes(2)
  proposed = []
  refusal = undefined
  running = undefined
  learning = new Learning({
    logger: QUIET,
    seed: () => 1,
    now: () => performance.now(),
    trains: false,
    ...options
  })
  const runtime = {
    get state() {
      return machine.state
    },
    get policyStatus() {
      return { running }
    },
    store: { iterate: () => rows() },
    propose: (draft: Draft) => {
      proposed.push(draft)
      return refusal === undefined ? Promise.resolve({ type: 'none' } as const) : Promise.reject(refusal)
    }
  }
  learning.attach(runtime as unknown as NodeRuntime)
  await learning.warmUp()
}

let rows: () => AsyncGenerator<never> = noRows

async function* noRows(): AsyncGenerator<never> {
  await Promise.resolve()
}

function apply(...commands: Command[]): void {
  learning.hooks().beforeEvents?.(machine.apply(...commands), 1)
}

const publish = (weights: Uint8Array): void => {
  apply({ type: 'publish-model', weights, trainedOn: 1, evaluation: NO_BYTES })
}
const promote = (version: number): void => {
  apply({ type: 'judge-model', version, verdict: 'promote', toPrevious: false, reason: '' })
}

beforeEach(() => attach())
afterEach(() => learning.close())

test('history that cannot be read does not keep a node from starting', async () => {
  rows = () => {
    throw new Error('unreadable')
  }
  await learning.close()
  await expect(attach()).resolves.toBeUndefined()
  rows = noRows
  machine.submit([spec({ name: 'a' })])
  expect(learning.predictedBy).toBe('statistics')
})

test('a beat that keeps failing is logged once, counted, and an alarm until it works', async () => {
  const logged: string[] = []
  const note = (_: unknown, message: string): number => logged.push(message)
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  try {
    await learning.close()
    await attach({ logger: { ...QUIET, error: note, info: note } })
    logged.length = 0
    const beat = vi.spyOn(learning, 'beat').mockImplementation(() => {
      throw new Error('no beat')
    })
    vi.advanceTimersByTime(20 * BEAT_MS)
    expect(logged).toEqual(['a beat of learning failed'])
    expect(learning.faults.beats).toBe(20)
    expect(learning.alarms()).toEqual([{ kind: 'model', message: 'looking after models fails: no beat' }])
    beat.mockRestore()
    vi.advanceTimersByTime(BEAT_MS)
    expect(logged.slice(1)).toEqual(['over: a beat of learning failed'])
    expect(learning.alarms()).toEqual([])
  } finally {
    vi.useRealTimers()
  }
})

test.each([
  ['a follower', undefined, true],
  ['a leader that runs another policy than the settings say', 'least-loaded', true],
  ['the learned policy of a leader, which says so itself', 'learned', false]
])('time passes for the estimator of %s', (_, policy, passes) => {
  const advanced = vi.spyOn(learning.estimator, 'advance')
  apply({ type: 'set-settings', settings: { policy: 'learned' } })
  running = policy
  learning.hooks().onReign?.(policy !== undefined)
  learning.beat()
  expect(advanced.mock.calls).toEqual(passes ? [[machine.state.time]] : [])
})

/** One task after another runs, until the predictions have been found to mislead. */
function mislead(): void {
  const wrong = new PointPrediction().of(1e12)
  const predict = vi.spyOn(learning.estimator, 'predict').mockReturnValue(wrong)
  for (let left = 40; left > 0; left--) end()
  predict.mockRestore()
}

/** A task runs. */
function end(): void {
  const id = machine.state.nextTaskId
  const node = machine.state.nodes.get(nodeId(2))!
  machine.now += 10
  machine.submit([spec({ name: 'a' })])
  apply({ type: 'place', taskId: taskId(id), node: node.id, incarnation: node.incarnation })
  machine.now += 10
  learning.hooks().beforeEvents?.(machine.complete(id, machine.task(id)!.lastToken), 2)
}

test('predictions that mislead are an alarm, and policies are answered by class means meanwhile', async () => {
  await learning.close()
  // Where time stands still, every attempt is told of.
  await attach({ now: () => 0 })
  expect(learning.alarms()).toEqual([])
  mislead()
  expect(learning.alarms().map(({ kind }) => kind)).toEqual(['model'])
  expect(learning.alarms()[0]?.message).toContain('class means')
})

test('an operator who chooses what is in use already makes the leader forget', () => {
  const chosen = vi.spyOn(learning.policyWatch, 'chosen')
  apply({ type: 'set-settings', settings: { modelMode: 'frozen' } })
  expect(chosen).not.toHaveBeenCalled()
  apply({ type: 'set-settings', settings: { policy: 'least-loaded' } })
  expect(chosen).toHaveBeenCalledTimes(1)
})

test('an operator who chooses ends the replay of what was chosen before', async () => {
  const replay = vi.spyOn(replayRequests, 'replayPolicies').mockResolvedValue(undefined)
  apply({ type: 'set-settings', settings: { policyMode: 'auto' } })
  const look = (): void => {
    learning.policyWatch.observe(REPLAY_EVERY, machine.state.settings)
  }
  look()
  apply({ type: 'set-settings', settings: { policyMode: 'auto' } })
  look()
  const given = replay.mock.calls.map(([, , , { aborted }]) => aborted)
  expect(given).toEqual([true, false])
  replay.mockRestore()
  await learning.close()
})

test('frozen models leave the choice of the policy to the leader', async () => {
  apply({ type: 'set-settings', settings: { modelMode: 'frozen', policyMode: 'auto' } })
  learning.hooks().onReign?.(true)
  const observed = vi.spyOn(learning.policyWatch, 'observe')
  machine.submit([spec({ name: 'a' })])
  machine.place(1, 2)
  learning.hooks().beforeEvents?.(machine.complete(1, machine.task(1)!.lastToken), 2)
  learning.beat()
  learning.beat()
  const inUse = expect.objectContaining({
    policy: 'least-loaded',
    policyMode: 'auto',
    policyChoice: 1
  }) as unknown
  expect(observed.mock.calls).toEqual([
    [1, inUse],
    [0, inUse]
  ])
  await learning.close()
})

test('a new leader hears from the log what earlier ones chose, and how much has ended since', () => {
  const reign = vi.spyOn(learning.policyWatch, 'reign')
  apply({ type: 'set-settings', settings: { policyMode: 'auto', policy: 'learned' } })
  const back: Command = {
    type: 'set-settings',
    settings: { policy: 'least-loaded' },
    expectedPolicyChoice: 1,
    returns: 3
  }
  apply(back)
  machine.now += 10
  machine.submit([spec({ name: 'a' })])
  machine.place(1, 2)
  learning.hooks().beforeEvents?.(machine.complete(1, machine.task(1)!.lastToken), 2)
  learning.hooks().onReign?.(true)
  expect(reign).toHaveBeenLastCalledWith({ policy: 'least-loaded', mode: 'auto', returns: 3, ended: 1 })
  learning.hooks().onReign?.(false)
  expect(reign).toHaveBeenLastCalledWith(undefined)
})

test('a leader that reads history scores no model on it, and trains on it when it is read', async () => {
  await learning.close()
  await attach({ now: () => 0 })
  publish(opinionated(1))
  for (let left = 300; left > 0; left--) end()
  const written = drainChanges(machine.state).puts.filter(({ key }) => key.startsWith('ch'))
  const { state } = machine
  await learning.close()
  rows = async function* () {
    for (const { key, value } of written.toReversed())
      yield await Promise.resolve([new TextEncoder().encode(key), value] as never)
  }
  const begunWith = new Set<number>()
  const begin = vi.spyOn(Trainer.prototype, 'begin').mockImplementation((_, past) => {
    begunWith.add(past.length)
    return false
  })
  let at = 0
  const restarted = new Learning({
    logger: QUIET,
    seed: () => 1,
    now: () => (at += 5),
    pause: () => {
      // None comes between the last rows and the end of the reading.
      if (restarted.rows < 280) restarted.beat()
      return Promise.resolve()
    }
  })
  restarted.attach({
    state,
    policyStatus: { running: undefined },
    store: { iterate: () => rows() },
    propose: () => Promise.reject(new Error('unwanted'))
  } as unknown as NodeRuntime)
  restarted.hooks().onReign?.(true)
  await restarted.warmUp()
  restarted.beat()
  rows = noRows
  expect(restarted.rows).toBe(300)
  expect(restarted.guard.shadowScored).toBe(0)
  expect(begunWith).toEqual(new Set([300]))
  begin.mockRestore()
  await restarted.close()
})

test('attempts of the log are learned from, on any node', () => {
  machine.submit([spec({ name: 'a' })])
  const place = {
    taskId: taskId(1),
    node: nodeId(2),
    incarnation: machine.state.nodes.get(nodeId(2))!.incarnation
  }
  apply({ type: 'place', ...place })
  learning.hooks().beforeEvents?.(machine.complete(1, machine.task(1)!.lastToken), 2)
  expect(learning.history.size).toBe(1)
  expect(learning.estimator.status().outcomes).toBe(1)
  learning.beat()
  expect(learning.rows).toBe(1)
})

test('what serves is what the log says; a shadow predicts nothing', () => {
  expect(learning.predictedBy).toBe('statistics')
  publish(opinionated(1))
  expect(learning.predictedBy).toBe('statistics')
  expect(learning.estimator.status().model).toBe(false)
  promote(1)
  expect(learning.predictedBy).toBe('model 1')
  expect(learning.estimator.status().model).toBe(true)
  apply({ type: 'judge-model', version: 1, verdict: 'roll-back', toPrevious: true, reason: '' })
  expect(learning.predictedBy).toBe('statistics')
  expect(learning.estimator.status().model).toBe(false)
})

test('a model that does not decode is an alarm everywhere, and the leader has it rolled back', () => {
  publish(new Uint8Array([1, 2, 3]))
  promote(1)
  expect(learning.predictedBy).toBe('statistics')
  const said = /^model 1 does not decode, so statistics predict: .*; dtss model rollback 1 /
  expect(learning.alarms()).toEqual([{ kind: 'model', message: expect.stringMatching(said) as string }])
  learning.beat()
  expect(proposed).toEqual([])
  learning.hooks().onReign?.(true)
  learning.beat()
  expect(proposed).toMatchObject([
    { type: 'judge-model', version: 1, verdict: 'roll-back', expected: 'serving' }
  ])
})

test('frozen models are left to operators', () => {
  learning.hooks().onReign?.(true)
  apply({ type: 'set-settings', settings: { modelMode: 'frozen' } })
  publish(new Uint8Array([1, 2, 3]))
  promote(1)
  learning.beat()
  expect(proposed).toEqual([])
  expect(learning.mode).toBe('frozen')
})

test('training that was given up is begun anew by who freezes models and unfreezes them, as its alarm says', () => {
  vi.spyOn(learning.trainer, 'failed', 'get').mockReturnValue(true)
  const end = vi.spyOn(learning.trainer, 'end')
  learning.hooks().onReign?.(true)
  expect(learning.alarms()).toMatchObject([
    { message: expect.stringContaining('freeze and unfreeze') as string }
  ])
  apply({ type: 'set-settings', settings: { policy: 'priority' } })
  expect(end).not.toHaveBeenCalled()
  // Without a beat: by the next one they may be unfrozen again.
  apply({ type: 'set-settings', settings: { modelMode: 'frozen' } })
  expect(end).toHaveBeenCalledOnce()
  apply({ type: 'set-settings', settings: { modelMode: 'auto' } })
  expect(end).toHaveBeenCalledOnce()
})

test('a policy that failed is an alarm until settings change', () => {
  learning.hooks().onPolicyFailure?.({ policy: 'learned', fault: 'threw', message: 'broken' })
  expect(learning.alarms()).toEqual([
    { kind: 'policy', message: 'policy learned threw: broken; least-loaded places instead' }
  ])
  apply({ type: 'set-settings', settings: { policy: 'priority' } })
  expect(learning.alarms()).toEqual([])
})

test('a policy that fails as a leader begins, before its reign is told of, is taken back', () => {
  apply({ type: 'set-settings', settings: { policy: 'learned', policyMode: 'auto' } })
  learning.hooks().onPolicyFailure?.({ policy: 'learned', fault: 'unknown', message: 'no such policy' })
  expect(proposed).toEqual([])
  learning.hooks().onReign?.(true)
  const back = { settings: { policy: 'least-loaded' }, expectedPolicyChoice: 1, returns: 1 }
  expect(proposed).toMatchObject([{ type: 'set-settings', ...back }])
})

test('a return that the log refuses is not counted by the leader', async () => {
  apply({ type: 'set-settings', settings: { policy: 'learned', policyMode: 'auto' } })
  learning.hooks().onReign?.(true)
  const fail = async (): Promise<void> => {
    learning.hooks().onPolicyFailure?.({ policy: 'learned', fault: 'threw', message: 'broken' })
    await new Promise(setImmediate)
  }
  refusal = new Error('no room')
  await fail()
  refusal = undefined
  await fail()
  await fail()
  expect(proposed).toMatchObject([{ returns: 1 }, { returns: 1 }, { returns: 2 }])
})

test('the trainer says what it waits for', async () => {
  expect(learning.trainerState).toBe('off')
  await learning.close()
  await attach({ trains: true })
  expect(learning.trainerState).toBe('waiting')
  apply({ type: 'set-settings', settings: { modelMode: 'frozen' } })
  expect(learning.trainerState).toBe('frozen')
})

test('a state that was replaced brings its own models', async () => {
  publish(opinionated(1))
  promote(1)
  const other = new Machine().withNodes(1)
  machine = other
  learning.hooks().onReplaced?.()
  await learning.warmUp()
  expect(learning.predictedBy).toBe('statistics')
  expect(learning.estimator.status().model).toBe(false)
})

test('forecasts take tasks in the order of the policy that places, be it in the stead of the one that was set', () => {
  apply({ type: 'set-settings', settings: { policy: 'fifo' } })
  machine.submit([...Array.from({ length: 40 }, () => spec()), spec({ priority: 5 })])
  const finishOf = (id: number): number => learning.advisor.eta(machine.task(id)!)?.finishAt.p50At ?? NaN
  const refresh = (): void => {
    const steps = learning.advisor.refresh(START)
    while (steps.next().done !== true);
  }
  refresh()
  expect(finishOf(41)).toBeGreaterThan(finishOf(1))
  running = 'least-loaded'
  refresh()
  expect(finishOf(41)).toBeLessThan(finishOf(40))
})
