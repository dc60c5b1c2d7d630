/**
 * Turns a submission as users write it into task drafts with every default filled in, so that all nodes see the same
 * task. Pure: the clock is an argument.
 *
 * Owns the rules that one task can break by itself (which fields belong to which executor, sizes, contradictions).
 * Rules over several tasks (names, cycles, ids that exist) are the scheduler's, behind the port.
 */
import { AppError } from '../base/errors.ts'
import { parseTaskId } from '../base/ids.ts'
import { LIMITS } from '../base/limits.ts'
import { durationMs, hour, timestampMs } from '../base/units.ts'
import type { DurationMs, TimestampMs } from '../base/units.ts'
import { parseDuration } from '../base/wire/common.ts'
import type { Duration } from '../base/wire/common.ts'
import { EXECUTORS, TASK_DEFAULTS, TaskBatchSchema, TaskRequestSchema } from '../base/wire/task-request.ts'
import type { Executor, TaskRequest } from '../base/wire/task-request.ts'
import type { Labels, Resources, RetryPolicy } from '../scheduler/types.ts'
import type { DraftNeed, TaskDraft } from '../scheduler/dag.ts'
import { compileCheck, invalid, nearestName, shown } from './validation.ts'

const checkTask = compileCheck(TaskRequestSchema, 'body')
const checkBatch = compileCheck(TaskBatchSchema, 'body')
const encoder = new TextEncoder()
const NO_BYTES = new Uint8Array(0)
const DAY_MS = 24 * hour
const NOTHING: Readonly<Record<string, never>> = Object.freeze({})

/** The drafts of a request body: one task, or an array of them. Throws INVALID_REQUEST, UNKNOWN_EXECUTOR, LIMIT_EXCEEDED. */
export function draftsOf(body: unknown, now: TimestampMs): TaskDraft[] {
  if (!Array.isArray(body)) {
    if (typeof body !== 'object' || body === null) throw invalid('body', body, 'a task, or an array of tasks')
    checkTask(body)
    return [draftOf(body, now, '')]
  }
  if (body.length > LIMITS.batchTasks) {
    throw exceeded('tasks', String(body.length), `at most ${LIMITS.batchTasks} in one submission`)
  }
  checkBatch(body, 'tasks')
  return (body as TaskRequest[]).map((task, index) => draftOf(task, now, `tasks[${index}].`))
}

/** `prefix` stands before field names in messages: empty, or `tasks[3].`. */
function draftOf(task: TaskRequest, now: TimestampMs, prefix: string): TaskDraft {
  const executor = executorOf(task, prefix)
  const handler = task.handler ?? ''
  if (handler in NOTHING) throw reserved(`${prefix}handler`, handler)
  const delivery = task.delivery ?? TASK_DEFAULTS.delivery
  const idempotent = task.idempotent ?? TASK_DEFAULTS.idempotent
  const onLeaseLoss = task.onLeaseLoss ?? TASK_DEFAULTS.onLeaseLoss
  if (onLeaseLoss === 'continue' && !idempotent) {
    throw invalid(`${prefix}onLeaseLoss`, onLeaseLoss, 'kill, or continue together with idempotent: true')
  }
  return {
    name: nameOf(task, executor, prefix),
    tenant: task.tenant ?? TASK_DEFAULTS.tenant,
    executor,
    handler,
    params: paramsOf(task, executor, prefix),
    input: inputOf(task, prefix),
    needs: needsOf(task, prefix),
    // Adding zero turns -0 into 0, which encode differently.
    priority: (task.priority ?? TASK_DEFAULTS.priority) + 0,
    resources: amountsOf(task.resources, `${prefix}resources`),
    nodeSelector: labelsOf(task.nodeSelector, `${prefix}nodeSelector`),
    retry: retryOf(task, delivery, prefix),
    scheduleToStartMs: lengthOf(
      task.timeouts?.scheduleToStartMs,
      TASK_DEFAULTS.scheduleToStartMs,
      `${prefix}timeouts.scheduleToStartMs`
    ),
    startToCloseMs: lengthOf(
      task.timeouts?.startToCloseMs,
      TASK_DEFAULTS.startToCloseMs,
      `${prefix}timeouts.startToCloseMs`
    ),
    killGraceMs: lengthOf(
      task.killGraceMs,
      TASK_DEFAULTS.killGraceMs,
      `${prefix}killGraceMs`,
      LIMITS.killGraceMs
    ),
    delivery,
    idempotent,
    onLeaseLoss,
    isolation: isolationOf(task, executor, prefix),
    notBefore: notBeforeOf(task, now, prefix),
    deadlineAt: deadlineOf(task, now, prefix)
  }
}

/** Which executor a task is for, and that it has the fields of this one and of no other. */
function executorOf(task: TaskRequest, prefix: string): Executor {
  const field = `${prefix}executor`
  const { executor, command, handler } = task
  const inferred = command !== undefined ? 'shell' : handler !== undefined ? 'js' : undefined
  const chosen = executor ?? inferred
  if (chosen === undefined)
    throw invalid(field, undefined, 'a task with a `command` (shell) or a `handler` (js)')
  if (chosen === 'shell') {
    if (handler !== undefined)
      throw invalid(`${prefix}handler`, handler, 'nothing: the shell has no handlers')
    if (command === undefined) throw invalid(`${prefix}command`, undefined, 'a command line for the shell')
    return chosen
  }
  if (chosen === 'js') {
    if (handler === undefined) throw invalid(`${prefix}handler`, undefined, 'the name of a handler')
    for (const name of ['command', 'env', 'workingDirectory'] as const) {
      if (task[name] !== undefined)
        throw invalid(prefix + name, task[name], 'nothing: it belongs to executor shell')
    }
    return chosen
  }
  const nearest = nearestName(chosen, EXECUTORS)
  const expected = `one of ${EXECUTORS.join(', ')}`
  throw new AppError('UNKNOWN_EXECUTOR', `${field}: got ${shown(chosen)}, expected ${expected}`, {
    details: { field, got: chosen, expected, ...(nearest === undefined ? {} : { nearest }) }
  })
}

/** A name that reads as a task id would make `needs` ambiguous. */
function nameOf(task: TaskRequest, executor: Executor, prefix: string): string {
  const name = task.name ?? (executor === 'js' ? (task.handler ?? '') : 'shell')
  if (parseTaskId(name) !== undefined)
    throw invalid(`${prefix}name`, name, 'a name that does not read as a task id')
  return name
}

function paramsOf(task: TaskRequest, executor: Executor, prefix: string): Uint8Array {
  if (executor !== 'shell') return NO_BYTES
  const { command, env, workingDirectory } = task
  const bytes = encoder.encode(JSON.stringify({ command, env, workingDirectory }))
  if (bytes.length > LIMITS.taskParamsBytes) {
    throw exceeded(
      `${prefix}command`,
      `${bytes.length} bytes with env and workingDirectory`,
      `at most ${LIMITS.taskParamsBytes}`
    )
  }
  return bytes
}

function inputOf(task: TaskRequest, prefix: string): Uint8Array {
  if (task.input === undefined) return NO_BYTES
  const field = `${prefix}input`
  if (!nestsWithin(task.input, LIMITS.inputDepth)) {
    throw exceeded(field, 'a deeper nesting', `arrays and objects at most ${LIMITS.inputDepth} deep`)
  }
  const bytes = encoder.encode(JSON.stringify(task.input))
  if (bytes.length > LIMITS.taskInputBytes) {
    throw exceeded(field, `${bytes.length} bytes of JSON`, `at most ${LIMITS.taskInputBytes}`)
  }
  return bytes
}

/** Recursion is bounded by `depth`. */
function nestsWithin(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return true
  if (depth === 0) return false
  for (const child of Array.isArray(value) ? value : Object.values(value)) {
    if (!nestsWithin(child, depth - 1)) return false
  }
  return true
}

const NO_NEEDS: readonly DraftNeed[] = []

function needsOf(task: TaskRequest, prefix: string): readonly DraftNeed[] {
  const { needs } = task
  if (needs === undefined) return NO_NEEDS
  if (!Array.isArray(needs)) {
    return Object.entries(needs).map(([as, reference]) => {
      if (as in NOTHING) throw reserved(`${prefix}needs`, as)
      return { as, ref: parseTaskId(reference) ?? reference }
    })
  }
  if (new Set(needs).size < needs.length) throw invalid(`${prefix}needs`, needs, 'each task at most once')
  return needs.map((reference) => {
    if (reference in NOTHING) throw reserved(`${prefix}needs`, reference)
    return { as: reference, ref: parseTaskId(reference) ?? reference }
  })
}

function amountsOf(resources: Resources | undefined, field: string): Resources {
  if (resources === undefined) return NOTHING
  for (const name of Object.keys(resources)) if (name in NOTHING) throw reserved(field, name)
  return resources
}

function labelsOf(labels: Labels | undefined, field: string): Labels {
  if (labels === undefined) return NOTHING
  for (const name of Object.keys(labels)) if (name in NOTHING) throw reserved(field, name)
  return labels
}

/** Names that every object inherits (`constructor`, …) would be found where they were never put. */
function reserved(field: string, name: string): AppError {
  return invalid(field, name, 'a name that JavaScript objects do not inherit')
}

function retryOf(task: TaskRequest, delivery: string, prefix: string): RetryPolicy {
  const field = `${prefix}retry`
  const once = delivery === 'at-most-once'
  const maxAttempts = task.retry?.maxAttempts ?? (once ? 1 : TASK_DEFAULTS.maxAttempts)
  if (once && maxAttempts > 1)
    throw invalid(`${field}.maxAttempts`, maxAttempts, '1 with delivery: at-most-once')
  const baseDelayMs = lengthOf(task.retry?.baseDelayMs, TASK_DEFAULTS.baseDelayMs, `${field}.baseDelayMs`)
  const impliedMaximum = Math.max(TASK_DEFAULTS.maxDelayMs, baseDelayMs)
  const maxDelayMs = lengthOf(task.retry?.maxDelayMs, impliedMaximum, `${field}.maxDelayMs`)
  if (maxDelayMs < baseDelayMs)
    throw invalid(`${field}.maxDelayMs`, maxDelayMs, `at least baseDelayMs, ${baseDelayMs}`)
  return { maxAttempts, baseDelayMs, maxDelayMs }
}

function lengthOf(
  value: Duration | undefined,
  fallback: number,
  field: string,
  maximum: number = LIMITS.taskDurationMs
): DurationMs {
  if (value === undefined) return durationMs(fallback)
  const length = parseDuration(value)
  if (length === undefined) throw invalid(field, value, 'a length of time')
  if (length > maximum) throw exceeded(field, `${length} ms`, `at most ${maximum} ms`)
  return durationMs(length)
}

function isolationOf(task: TaskRequest, executor: Executor, prefix: string): 'process' | 'thread' {
  const isolation = task.isolation ?? TASK_DEFAULTS.isolation
  if (isolation === 'thread' && executor !== 'js') {
    throw invalid(`${prefix}isolation`, isolation, 'process: threads are for executor js')
  }
  return isolation
}

function notBeforeOf(task: TaskRequest, now: TimestampMs, prefix: string): TimestampMs {
  if (task.runAt === undefined) {
    const delayMs = lengthOf(task.delayMs, 0, `${prefix}delayMs`)
    return timestampMs(delayMs === 0 ? 0 : now + delayMs)
  }
  if (task.delayMs !== undefined)
    throw invalid(`${prefix}runAt`, task.runAt, 'either delayMs or runAt, not both')
  const at = momentOf(task.runAt, `${prefix}runAt`)
  if (at > now + LIMITS.taskDurationMs) throw tooFarAhead(`${prefix}runAt`, at - now)
  return timestampMs(at)
}

const DATE = /^(\d{4})-(\d{2})-(\d{2})T/

/** In milliseconds since the Unix epoch. `Date.parse` moves a day that a month does not have into the next one. */
function momentOf(moment: number | string, field: string): number {
  if (typeof moment === 'number') return moment + 0
  const [, year, month, day] = DATE.exec(moment)?.map(Number) ?? []
  const daysOfMonth = new Date(Date.UTC(year ?? NaN, month ?? NaN, 0)).getUTCDate()
  const at = Date.parse(moment)
  if (!((day ?? NaN) <= daysOfMonth) || Number.isNaN(at)) throw invalid(field, moment, 'a date that there is')
  return at
}

/** When the task is wanted, or 0. One that has passed already is a mistake: no cluster could keep it. */
function deadlineOf(task: TaskRequest, now: TimestampMs, prefix: string): TimestampMs {
  const { deadlineMs, deadlineAt } = task
  if (deadlineAt === undefined) {
    if (deadlineMs === undefined) return timestampMs(0)
    const lengthMs = lengthOf(deadlineMs, 0, `${prefix}deadlineMs`)
    if (lengthMs === 0) throw invalid(`${prefix}deadlineMs`, deadlineMs, 'a length of time above 0')
    return timestampMs(now + lengthMs)
  }
  const field = `${prefix}deadlineAt`
  if (deadlineMs !== undefined) throw invalid(field, deadlineAt, 'either deadlineMs or deadlineAt, not both')
  const at = momentOf(deadlineAt, field)
  if (!(at > now)) throw invalid(field, deadlineAt, 'a point of time that is still to come')
  if (at > now + LIMITS.taskDurationMs) {
    throw tooFarAhead(field, at - now)
  }
  return timestampMs(at)
}

/** In days, rounded up so that what is too far never looks as if it were not: milliseconds of a month tell nobody anything. */
function tooFarAhead(field: string, aheadMs: number): AppError {
  const inDays = (ms: number): string => `${Math.ceil((ms / DAY_MS) * 10) / 10} days from now`
  return exceeded(field, inDays(aheadMs), `at most ${inDays(LIMITS.taskDurationMs)}`)
}

function exceeded(field: string, got: string, expected: string): AppError {
  return new AppError('LIMIT_EXCEEDED', `${field}: got ${got}, expected ${expected}`, {
    details: { field, got, expected }
  })
}
