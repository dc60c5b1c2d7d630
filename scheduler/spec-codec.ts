/**
 * Encoding of task specs. What tasks of one class share (the *body*) is written apart from what each has for itself, so
 * that a log entry with 500 alike tasks holds one body; defaults are left out.
 */
import type { TaskId } from '../base/ids.ts'
import { taskId } from '../base/ids.ts'
import { durationMs } from '../base/units.ts'
import type { ByteReader, ByteWriter } from './bytes.ts'
import { NO_BYTES, malformed } from './bytes.ts'
import { DEFAULT_RETRY, TASK_DEFAULTS } from './defaults.ts'
import type { Labels, Need, Resources, TaskSpec } from './types.ts'
import { readLabels, readResources, writeLabels, writeResources } from './value-codec.ts'

/** A spec without what differs between tasks of one class. */
export type SpecBody = Omit<TaskSpec, 'needs' | 'input' | 'notBefore' | 'deadlineAt'>

const TENANT = 1
const HANDLER = 2
const PARAMS = 4
const PRIORITY = 8
const RESOURCES = 16
const SELECTOR = 32
const RETRY = 64
const SCHEDULE_TO_START = 128
const START_TO_CLOSE = 256
const KILL_GRACE = 512
const AT_MOST_ONCE = 1024
const IDEMPOTENT = 2048
const CONTINUE = 4096
const THREAD = 8192
const ALL_FLAGS = 16383

const NO_RESOURCES: Resources = Object.freeze({})
const NO_LABELS: Labels = Object.freeze({})

function isEmpty(record: Readonly<Record<string, unknown>>): boolean {
  return record === NO_RESOURCES || record === NO_LABELS || Object.keys(record).length === 0
}

function flagsOf(body: SpecBody): number {
  const { retry } = body
  const usualRetry =
    retry.maxAttempts === DEFAULT_RETRY.maxAttempts &&
    retry.baseDelayMs === DEFAULT_RETRY.baseDelayMs &&
    retry.maxDelayMs === DEFAULT_RETRY.maxDelayMs
  return (
    (body.tenant === TASK_DEFAULTS.tenant ? 0 : TENANT) |
    (body.handler === '' ? 0 : HANDLER) |
    (body.params.length === 0 ? 0 : PARAMS) |
    (body.priority === 0 ? 0 : PRIORITY) |
    (isEmpty(body.resources) ? 0 : RESOURCES) |
    (isEmpty(body.nodeSelector) ? 0 : SELECTOR) |
    (usualRetry ? 0 : RETRY) |
    (body.scheduleToStartMs === 0 ? 0 : SCHEDULE_TO_START) |
    (body.startToCloseMs === 0 ? 0 : START_TO_CLOSE) |
    (body.killGraceMs === TASK_DEFAULTS.killGraceMs ? 0 : KILL_GRACE) |
    (body.delivery === 'at-least-once' ? 0 : AT_MOST_ONCE) |
    (body.idempotent ? IDEMPOTENT : 0) |
    (body.onLeaseLoss === 'kill' ? 0 : CONTINUE) |
    (body.isolation === 'process' ? 0 : THREAD)
  )
}

export function writeBody(out: ByteWriter, body: SpecBody): void {
  const flags = flagsOf(body)
  out.uint(flags)
  out.text(body.name)
  out.text(body.executor)
  if ((flags & TENANT) !== 0) out.text(body.tenant)
  if ((flags & HANDLER) !== 0) out.text(body.handler)
  if ((flags & PARAMS) !== 0) out.bytes(body.params)
  if ((flags & PRIORITY) !== 0) out.int(body.priority)
  if ((flags & RESOURCES) !== 0) writeResources(out, body.resources)
  if ((flags & SELECTOR) !== 0) writeLabels(out, body.nodeSelector)
  if ((flags & RETRY) !== 0) {
    out.uint(body.retry.maxAttempts)
    out.uint(body.retry.baseDelayMs)
    out.uint(body.retry.maxDelayMs)
  }
  if ((flags & SCHEDULE_TO_START) !== 0) out.uint(body.scheduleToStartMs)
  if ((flags & START_TO_CLOSE) !== 0) out.uint(body.startToCloseMs)
  if ((flags & KILL_GRACE) !== 0) out.uint(body.killGraceMs)
}

export function readBody(from: ByteReader): SpecBody {
  const flags = from.uint()
  if (flags > ALL_FLAGS) throw malformed(`task: got unknown fields (${flags})`)
  const has = (flag: number): boolean => (flags & flag) !== 0
  const millis = (flag: number, otherwise: number): number => (has(flag) ? from.uint() : otherwise)
  return {
    name: from.text(),
    executor: from.text(),
    tenant: has(TENANT) ? from.text() : TASK_DEFAULTS.tenant,
    handler: has(HANDLER) ? from.text() : '',
    params: has(PARAMS) ? from.bytes() : NO_BYTES,
    priority: has(PRIORITY) ? from.int() : 0,
    resources: has(RESOURCES) ? readResources(from) : NO_RESOURCES,
    nodeSelector: has(SELECTOR) ? readLabels(from) : NO_LABELS,
    retry: has(RETRY)
      ? {
          maxAttempts: from.uint(),
          baseDelayMs: durationMs(from.uint()),
          maxDelayMs: durationMs(from.uint())
        }
      : DEFAULT_RETRY,
    scheduleToStartMs: durationMs(millis(SCHEDULE_TO_START, 0)),
    startToCloseMs: durationMs(millis(START_TO_CLOSE, 0)),
    killGraceMs: durationMs(millis(KILL_GRACE, TASK_DEFAULTS.killGraceMs)),
    delivery: has(AT_MOST_ONCE) ? 'at-most-once' : 'at-least-once',
    idempotent: has(IDEMPOTENT),
    onLeaseLoss: has(CONTINUE) ? 'continue' : 'kill',
    isolation: has(THREAD) ? 'thread' : 'process'
  }
}

/** A whole spec from a body and the rest. One literal, so that all specs have one hidden class. */
export function assemble<I, N>(
  body: SpecBody,
  input: I,
  needs: N,
  notBefore: TaskSpec['notBefore'],
  deadlineAt: TaskSpec['deadlineAt']
): SpecBody & { input: I; needs: N } & Pick<TaskSpec, 'notBefore' | 'deadlineAt'> {
  return {
    name: body.name,
    tenant: body.tenant,
    executor: body.executor,
    handler: body.handler,
    params: body.params,
    input,
    needs,
    priority: body.priority,
    resources: body.resources,
    nodeSelector: body.nodeSelector,
    retry: body.retry,
    scheduleToStartMs: body.scheduleToStartMs,
    startToCloseMs: body.startToCloseMs,
    killGraceMs: body.killGraceMs,
    delivery: body.delivery,
    idempotent: body.idempotent,
    onLeaseLoss: body.onLeaseLoss,
    isolation: body.isolation,
    notBefore,
    deadlineAt
  }
}

/** Needs by their distance from the task, which is short within a submission. */
export function writeNeeds(out: ByteWriter, id: TaskId, needs: readonly Need[]): void {
  out.uint(needs.length)
  for (const need of needs) {
    out.int(id - need.id)
    out.text(need.as)
  }
}

const NO_NEEDS: readonly Need[] = []

export function readNeeds(from: ByteReader, id: TaskId): readonly Need[] {
  const count = from.count()
  if (count === 0) return NO_NEEDS
  const needs: Need[] = []
  for (let index = 0; index < count; index++) {
    needs.push({ id: taskId(id - from.int()), as: from.text() })
  }
  return needs
}

/** How far back a writer looks for an equal body; a reader accepts any. */
const LOOK_BACK = 8

/** Writes bodies, each distinct one once; a later equal one as its number. */
export class BodyWriter {
  private readonly bodies: SpecBody[] = []

  write(out: ByteWriter, body: SpecBody): void {
    const last = this.bodies.length - 1
    for (let index = last; index >= 0 && index > last - LOOK_BACK; index--) {
      const earlier = this.bodies[index]
      if (earlier !== undefined && sameBody(earlier, body)) {
        out.uint(index + 1)
        return
      }
    }
    this.bodies.push(body)
    out.uint(0)
    writeBody(out, body)
  }
}

/** The reading side of `BodyWriter`. */
export class BodyReader {
  private readonly bodies: SpecBody[] = []

  read(from: ByteReader): SpecBody {
    const number = from.uint()
    if (number === 0) {
      const body = readBody(from)
      this.bodies.push(body)
      return body
    }
    const body = this.bodies[number - 1]
    if (body === undefined) throw malformed(`task: got body ${number} of ${this.bodies.length}`)
    return body
  }
}

function sameBody(a: SpecBody, b: SpecBody): boolean {
  return (
    a.name === b.name &&
    a.executor === b.executor &&
    a.handler === b.handler &&
    a.tenant === b.tenant &&
    a.priority === b.priority &&
    a.retry.maxAttempts === b.retry.maxAttempts &&
    a.retry.baseDelayMs === b.retry.baseDelayMs &&
    a.retry.maxDelayMs === b.retry.maxDelayMs &&
    a.scheduleToStartMs === b.scheduleToStartMs &&
    a.startToCloseMs === b.startToCloseMs &&
    a.killGraceMs === b.killGraceMs &&
    a.delivery === b.delivery &&
    a.idempotent === b.idempotent &&
    a.onLeaseLoss === b.onLeaseLoss &&
    a.isolation === b.isolation &&
    sameRecord(a.resources, b.resources) &&
    sameRecord(a.nodeSelector, b.nodeSelector) &&
    sameBytes(a.params, b.params)
  )
}

function sameRecord(a: Readonly<Record<string, unknown>>, b: Readonly<Record<string, unknown>>): boolean {
  if (a === b) return true
  const names = Object.keys(a)
  if (names.length !== Object.keys(b).length) return false
  return names.every((name) => Object.hasOwn(b, name) && a[name] === b[name])
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a === b) return true
  if (a.length !== b.length) return false
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false
  return true
}
