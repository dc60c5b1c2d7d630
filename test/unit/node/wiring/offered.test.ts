/** What is refused because no node runs it, and by whose state that is judged. */
import { expect, test } from 'vitest'
import type { SubmitReceipt } from '../../../../api/ports.ts'
import { taskId } from '../../../../base/ids.ts'
import { createNodePort } from '../../../../node/wiring/node-port.ts'
import { createOptimizerPort } from '../../../../node/wiring/optimizer-port.ts'
import type { NodeRuntime } from '../../../../runtime/node-runtime.ts'
import { Machine, spec } from '../../../helpers/scheduler.ts'

/** A node whose state stands at `machine`; waiting for the cluster's does `catchUp`. */
function submitTo(machine: Machine, catchUp: () => void = () => undefined) {
  let barriers = 0
  const runtime = {
    state: machine.state,
    readBarrier: () => {
      barriers++
      catchUp()
      return Promise.resolve()
    },
    propose: () => Promise.resolve({ type: 'submitted', firstId: taskId(7), replayed: false })
  } as unknown as NodeRuntime
  const optimizer = createOptimizerPort(runtime, {} as never)
  const port = createNodePort({ runtime, clusterId: 'c', metrics: {} as never, optimizer })
  return {
    submit: (task: Parameters<typeof spec>[0]): Promise<SubmitReceipt> =>
      port.submit({ tasks: [spec(task)] } as never),
    barriers: () => barriers
  }
}

test('what a node offers is taken at once; what none offers is refused by what the whole cluster knows', async () => {
  const { submit, barriers } = submitTo(new Machine().withNodes(1))
  await expect(submit({ executor: 'js', handler: 'double' })).resolves.toMatchObject({ ids: [7] })
  expect(barriers()).toBe(0)
  await expect(submit({ executor: 'wasm' })).rejects.toMatchObject({
    code: 'UNKNOWN_EXECUTOR',
    details: { field: 'tasks[0].executor', got: 'wasm', expected: 'an executor that a node offers' }
  })
  await expect(submit({ executor: 'js', handler: 'none' })).rejects.toMatchObject({ code: 'UNKNOWN_HANDLER' })
  expect(barriers()).toBe(2)
})

test('a node that lags behind does not refuse what another one has come to offer', async () => {
  const machine = new Machine().withNodes(1, { executors: ['js'] })
  const { submit } = submitTo(machine, () => machine.announce(1, 2, { executors: ['js', 'shell'] }))
  await expect(submit({ executor: 'shell' })).resolves.toMatchObject({ ids: [7] })
})

test('while no node of a young cluster has announced itself, nothing is refused', async () => {
  const { submit } = submitTo(new Machine())
  await expect(submit({ executor: 'shell' })).resolves.toMatchObject({ ids: [7] })
})
