/**
 * `submit`: checks a whole submission, then makes all its tasks or none.
 *
 * 1. A need names a lower id, so dependencies cannot form a cycle.
 * 2. A task with a need that ended without success is made and skipped at once, so that its record says why.
 * 3. Each dependent, and a kept idempotency key, pins the records that it leads to.
 */
import type { TaskId } from '../../base/ids.ts'
import { fencingToken, taskId } from '../../base/ids.ts'
import { LIMITS } from '../../base/limits.ts'
import { timestampMs } from '../../base/units.ts'
import { touch } from '../changes.ts'
import type { IdempotencyKey, SubmitCommand } from '../commands.ts'
import { blobKey } from '../keys.ts'
import { checkSpec } from '../spec-rules.ts'
import type { SchedulerState } from '../state.ts'
import { NO_DEPENDENTS, SPREAD_DONE } from '../state.ts'
import type { KeptKey, Outcome, StoredSpec, Task, TaskSpec, Tombstone } from '../types.ts'
import type { ApplyContext } from './context.ts'
import { accepted, rejected } from './context.ts'
import { dropKey } from './retention.ts'
import { endTask, makeReady, needFailed } from './transitions.ts'

export function applySubmit(ctx: ApplyContext, command: SubmitCommand): Outcome {
  const { state } = ctx
  const { firstId, tasks, idempotency } = command
  const kept = idempotency === undefined ? undefined : state.keys.get(idempotency.key)
  if (kept !== undefined && kept.expiresAt > state.time) {
    if (kept.fingerprint === idempotency?.fingerprint) {
      return accepted({ type: 'submitted', firstId: kept.firstId, count: kept.count, replayed: true })
    }
    return rejected('IDEMPOTENCY_MISMATCH', 'the idempotency key stands for another request')
  }
  const refusal =
    checkCommand(state, command) ??
    (idempotency === undefined ? undefined : checkKey(state, idempotency, kept)) ??
    checkTasks(state, command)
  if (refusal !== undefined) return refusal

  if (kept !== undefined) dropKey(state, kept)
  const skipped = new Map<Task, Tombstone>()
  const born = tasks.map((spec, index) => bear(ctx, spec, taskId(firstId + index), firstId, skipped))
  state.nextTaskId = taskId(firstId + tasks.length)
  if (idempotency !== undefined) keep(state, idempotency, firstId, born)
  for (const task of born) {
    const failed = skipped.size === 0 ? undefined : skipped.get(task)
    if (failed !== undefined) endTask(ctx, task, 'skipped', needFailed(failed))
    else if (task.waitingOn === 0) makeReady(ctx, task)
  }
  return accepted({ type: 'submitted', firstId, count: tasks.length, replayed: false })
}

function checkCommand(state: SchedulerState, { firstId, tasks }: SubmitCommand): Outcome | undefined {
  if (tasks.length < 1 || tasks.length > LIMITS.batchTasks) {
    return rejected(
      'LIMIT_EXCEEDED',
      `tasks: got ${tasks.length}, expected 1 to ${LIMITS.batchTasks} in one submission`
    )
  }
  if (firstId < state.nextTaskId || !Number.isSafeInteger(firstId + tasks.length)) {
    return rejected('SEQUENCE_STALE', `first id: got ${firstId}, expected at least ${state.nextTaskId}`)
  }
  if (state.tasks.size + tasks.length > LIMITS.liveTasks) {
    return rejected('OVERLOADED', `the cluster holds ${state.tasks.size} tasks that have not ended`)
  }
  return undefined
}

function checkKey(
  state: SchedulerState,
  { key, fingerprint, ttlMs }: IdempotencyKey,
  kept: KeptKey | undefined
): Outcome | undefined {
  const longest = LIMITS.idempotencyKeyLength
  if (key.length < 1 || key.length > longest || fingerprint.length > longest) {
    return rejected(
      'LIMIT_EXCEEDED',
      `idempotency key: got ${key.length} characters, expected 1 to ${longest}`
    )
  }
  if (!(ttlMs > 0 && ttlMs <= LIMITS.keyTtlMaxMs)) {
    return rejected('LIMIT_EXCEEDED', `ttlMs: got ${ttlMs}, expected 1 to ${LIMITS.keyTtlMaxMs}`)
  }
  if (kept === undefined && state.keys.size >= LIMITS.idempotencyKeys) {
    return rejected('IDEMPOTENCY_KEYS_FULL', `${state.keys.size} idempotency keys are kept already`)
  }
  return undefined
}

function checkTasks(state: SchedulerState, { firstId, tasks }: SubmitCommand): Outcome | undefined {
  const added = new Map<TaskId, number>()
  for (const [index, spec] of tasks.entries()) {
    const wrong = checkSpec(spec)
    if (wrong !== undefined) {
      return rejected(
        'LIMIT_EXCEEDED',
        `tasks[${index}].${wrong.field}: got ${wrong.got}, expected ${wrong.expected}`
      )
    }
    if (spec.needs.length === 0) continue
    const refusal = checkNeeds(state, spec, taskId(firstId + index), firstId, added)
    if (refusal !== undefined) return refusal
  }
  return undefined
}

function checkNeeds(
  state: SchedulerState,
  { needs }: TaskSpec,
  id: TaskId,
  firstId: TaskId,
  added: Map<TaskId, number>
): Outcome | undefined {
  if (needs.length > LIMITS.taskNeeds) {
    return rejected('LIMIT_EXCEEDED', `needs: got ${needs.length}, expected at most ${LIMITS.taskNeeds}`)
  }
  if (needs.length > 1 && new Set(needs.map((need) => need.id)).size < needs.length) {
    return rejected('INVALID_REQUEST', `t-${id} names a need twice`)
  }
  for (const need of needs) {
    if (need.id >= id) return rejected('UNKNOWN_NEED', `t-${id} needs t-${need.id}, which comes after it`)
    if (need.id >= firstId) continue
    const record = state.tasks.get(need.id) ?? state.tombstones.get(need.id)
    if (record === undefined) {
      const retired = need.id <= state.highestRetired
      return rejected(
        retired ? 'RETIRED' : 'UNKNOWN_NEED',
        `t-${id} needs t-${need.id}, of which there is no record`
      )
    }
    const count = (added.get(need.id) ?? record.pins) + 1
    if (count > LIMITS.taskDependents) {
      return rejected('LIMIT_EXCEEDED', `t-${need.id} has ${LIMITS.taskDependents} dependents already`)
    }
    added.set(need.id, count)
  }
  return undefined
}

function bear(
  ctx: ApplyContext,
  spec: TaskSpec,
  id: TaskId,
  group: TaskId,
  skipped: Map<Task, Tombstone>
): Task {
  const { state } = ctx
  const task: Task = {
    rowFlags: 0,
    hashA: 0,
    hashB: 0,
    id,
    spec: storeInput(state, id, spec),
    group,
    submittedAt: state.time,
    status: 'pending',
    waitingOn: 0,
    dependents: NO_DEPENDENTS,
    pins: 0,
    notBefore: spec.notBefore,
    readyAt: timestampMs(0),
    attempts: 0,
    uncounted: 0,
    copies: 0,
    lastToken: fencingToken(0),
    placement: undefined,
    copy: undefined,
    lastError: undefined,
    lastFailedOn: undefined
  }
  state.tasks.set(id, task)
  touch(state.changes.tasks, task)
  for (const need of spec.needs) {
    const failed = linkNeed(state, task, need.id)
    if (failed !== undefined && !skipped.has(task)) skipped.set(task, failed)
  }
  ctx.events.push({ type: 'task-submitted', task })
  return task
}

/** Ties a new task to one need. Returns the need when it already ended without success. */
function linkNeed(state: SchedulerState, task: Task, needId: TaskId): Tombstone | undefined {
  const need = state.tasks.get(needId)
  const tombstone = need === undefined ? state.tombstones.get(needId) : undefined
  const record = need ?? tombstone
  if (record === undefined) return undefined
  record.pins++
  if (tombstone?.spreadTo === SPREAD_DONE) return tombstone.status === 'succeeded' ? undefined : tombstone
  // An ended need that is still telling its dependents will tell this one too: its id is the highest.
  task.waitingOn++
  if (record.dependents === NO_DEPENDENTS) record.dependents = [task.id]
  else record.dependents.push(task.id)
  return undefined
}

function storeInput(state: SchedulerState, id: TaskId, spec: TaskSpec): StoredSpec {
  const { input } = spec
  if (input.length <= LIMITS.inlineBytes) return spec
  state.changes.blobs.set(blobKey(id, 'input'), input)
  return { ...spec, input: { sizeBytes: input.length } }
}

function keep(
  state: SchedulerState,
  { key, fingerprint, ttlMs }: IdempotencyKey,
  firstId: TaskId,
  born: readonly Task[]
): void {
  const kept: KeptKey = {
    rowFlags: 0,
    hashA: 0,
    hashB: 0,
    key,
    fingerprint,
    firstId,
    count: born.length,
    expiresAt: timestampMs(state.time + ttlMs)
  }
  state.keys.set(key, kept)
  state.keyOfFirst.set(firstId, kept)
  state.expiringKeys.push(firstId, kept.expiresAt)
  touch(state.changes.keys, kept)
  for (const task of born) task.pins++
}
