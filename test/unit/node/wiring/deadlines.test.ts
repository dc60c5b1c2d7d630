import { expect, test } from 'vitest'
import { settle } from '../../../../api/context.ts'
import { nodeId, taskId } from '../../../../base/ids.ts'
import { second } from '../../../../base/units.ts'
import { DEADLINES } from '../../../../base/wire/deadlines.ts'
import type { Learning } from '../../../../node/optimizer/learning.ts'
import type { NodeMetricsPage } from '../../../../node/wiring/metrics.ts'
import { createNodePort } from '../../../../node/wiring/node-port.ts'
import { createOptimizerPort } from '../../../../node/wiring/optimizer-port.ts'
import type { NodeRuntime } from '../../../../runtime/node-runtime.ts'
import { Machine, spec } from '../../../helpers/scheduler.ts'

/** What a client needs beyond what the node waits: the way there and back, and a node that is busy. */
const MARGIN_MS = 5 * second

test('whatever a node waits for, it answers well before a client that waits as long as clients do takes it for dead', async () => {
  const waits: number[] = []
  const wait = (timeoutMs: number): Promise<never> => {
    waits.push(timeoutMs)
    return Promise.reject(new Error('no leader'))
  }
  const runtime = {
    state: new Machine().withNodes(3).state,
    propose: (_: unknown, timeoutMs: number) => wait(timeoutMs),
    readBarrier: wait,
    waitApplied: (_: number, timeoutMs: number) => wait(timeoutMs),
    raftStatus: () => ({ confState: { voters: [1, 2, 3] } })
  } as unknown as NodeRuntime
  const optimizer = createOptimizerPort(runtime, {} as unknown as Learning)
  const port = createNodePort({ runtime, clusterId: 'c', metrics: {} as NodeMetricsPage, optimizer })
  const calls: (() => unknown)[] = [
    () => port.submit({ tasks: [spec({ executor: 'shell' })] } as never),
    () => port.cancel(taskId(1)),
    () => port.leave(nodeId(3)),
    () => port.readIndex(),
    () => settle({ ...port, appliedIndex: () => 0 }, { index: 7, consistency: 'stale' }),
    () => optimizer.setPolicy('fifo'),
    () => optimizer.setModelMode('frozen'),
    () => optimizer.promote(1, ''),
    () => optimizer.rollBack(1, '')
  ]
  for (const call of calls)
    await Promise.resolve()
      .then(call)
      .catch(() => undefined)
  expect(waits).toHaveLength(calls.length)
  // What waits for both waits one after the other.
  expect(DEADLINES.appliedMs + DEADLINES.readMs).toBeLessThan(DEADLINES.replyMs)
  for (const waitMs of waits) expect(waitMs).toBeLessThanOrEqual(DEADLINES.replyMs - MARGIN_MS)
})
