import { afterEach, beforeEach, expect, test } from 'vitest'
import { nodeId, taskId } from '../../../../base/ids.ts'
import { Learning, type LearningOptions } from '../../../../node/optimizer/learning.ts'
import type { NodeRuntime } from '../../../../runtime/node-runtime.ts'
import type { Draft } from '../../../../runtime/proposals/forwarder.ts'
import type { Command } from '../../../../scheduler/commands.ts'
import { Machine, spec } from '../../../helpers/scheduler.ts'
import { opinionated } from './rows.ts'

const QUIET = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }
const NO_BYTES = new Uint8Array(0)

let machine: Machine
let learning: Learning
let proposed: Draft[]

/** A node's runtime, as far as learning looks at it: a task machine, an empty store, and what was proposed. */
async function attach(options: Partial<LearningOptions> = {}): Promise<void> {
  machine = new Machine().withNodes(2)
  proposed = []
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
    store: { iterate: () => rows() },
    propose: (draft: Draft) => {
      proposed.push(draft)
      return Promise.resolve({ type: 'none' } as const)
    }
  }
  await learning.attach(runtime as unknown as NodeRuntime)
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
  expect(learning.alarms()).toMatchObject([{ kind: 'model' }])
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

test('a policy that failed is an alarm until settings change', () => {
  learning.hooks().onPolicyFailure?.({ policy: 'learned', fault: 'threw', message: 'broken' })
  expect(learning.alarms()).toEqual([
    { kind: 'policy', message: 'policy learned threw: broken; least-loaded places instead' }
  ])
  apply({ type: 'set-settings', settings: { policy: 'priority' } })
  expect(learning.alarms()).toEqual([])
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
  await new Promise((resolve) => setImmediate(resolve))
  expect(learning.predictedBy).toBe('statistics')
  expect(learning.estimator.status().model).toBe(false)
})
