/** Gathers what an attempt needs to begin: its input, and the results of its dependencies, from this node's own state. */
import { AppError } from '../../base/errors.ts'
import type { TaskId } from '../../base/ids.ts'
import type { Blob, Placement, Task } from '../../scheduler/types.ts'
import type { AttemptStart } from '../ports/attempt-host.ts'
import type { Materializer } from '../storage/materializer.ts'

/** Rejects when a row that the state promises is not there, which only a damaged store can cause. */
export async function prepareAttempt(
  store: Materializer,
  task: Task,
  placement: Placement
): Promise<AttemptStart> {
  const { spec } = task
  const needs: Record<string, Uint8Array> = {}
  const input =
    spec.input instanceof Uint8Array ? spec.input : await readBlob(store, task.id, 'input', spec.input)
  for (const need of spec.needs) {
    const row = await store.history(need.id)
    if (row === undefined)
      throw new AppError('INTERNAL', `the result of ${need.as} (task ${need.id}) is not there`)
    needs[need.as] = await readBlob(store, need.id, 'result', row.result)
  }
  return {
    taskId: task.id,
    token: placement.token,
    attempt: placement.attempt,
    incarnation: placement.incarnation,
    name: spec.name,
    executor: spec.executor,
    handler: spec.handler,
    params: spec.params,
    input,
    needs,
    startToCloseMs: spec.startToCloseMs,
    killGraceMs: spec.killGraceMs,
    isolation: spec.isolation,
    onLeaseLoss: spec.onLeaseLoss
  }
}

/** The bytes of a blob, wherever they lie. */
export async function readBlob(
  store: Materializer,
  id: TaskId,
  part: 'input' | 'result',
  blob: Blob
): Promise<Uint8Array> {
  if (blob instanceof Uint8Array) return blob
  const bytes = await store.blob(id, part)
  if (bytes === undefined) throw new AppError('INTERNAL', `the ${part} of task ${id} is not in the store`)
  return bytes
}
