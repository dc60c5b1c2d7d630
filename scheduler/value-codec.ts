/**
 * Encodings of the values that log entries, proposals and state rows have in common. Fields stand in a fixed order; adding
 * one is a new version of whatever contains it.
 */
import { fencingToken, incarnation, nodeId, taskId } from '../base/ids.ts'
import { durationMs, timestampMs } from '../base/units.ts'
import type { ByteReader, ByteWriter } from './bytes.ts'
import { malformed } from './bytes.ts'
import type { AttemptReport, IdempotencyKey, Origin } from './commands.ts'
import type { Labels, ModelMode, NodeOffer, PolicyMode, Resources, StopReason, TaskError } from './types.ts'

/** Position is the number on disk: append only. */
export const STOP_REASONS = [
  'cancel',
  'timeout',
  'drain',
  'replace',
  'superseded'
] as const satisfies readonly StopReason[]
export const MODEL_MODES = ['auto', 'frozen'] as const satisfies readonly ModelMode[]
export const POLICY_MODES = ['fixed', 'auto'] as const satisfies readonly PolicyMode[]

/** Writes one of a closed list of names as its position, which is therefore part of the format. */
export function writeName<T extends string>(out: ByteWriter, names: readonly T[], value: T): void {
  out.uint(names.indexOf(value))
}

export function readName<T extends string>(from: ByteReader, names: readonly T[]): T {
  const name = names[from.choice(names.length)]
  if (name === undefined) throw malformed('name: got a position outside of its list')
  return name
}

export function writeList<T>(
  out: ByteWriter,
  values: readonly T[],
  write: (out: ByteWriter, value: T) => void
): void {
  out.uint(values.length)
  for (const value of values) write(out, value)
}

export function readList<T>(from: ByteReader, read: (from: ByteReader) => T): T[] {
  const count = from.count()
  const values: T[] = []
  for (let index = 0; index < count; index++) values.push(read(from))
  return values
}

export function writeTexts(out: ByteWriter, values: readonly string[]): void {
  out.uint(values.length)
  for (const value of values) out.text(value)
}

export function readTexts(from: ByteReader): string[] {
  return readList(from, (reader) => reader.text())
}

export function writeLabels(out: ByteWriter, labels: Labels): void {
  const names = Object.keys(labels)
  out.uint(names.length)
  for (const name of names) {
    out.text(name)
    out.text(labels[name] ?? '')
  }
}

export function readLabels(from: ByteReader): Labels {
  const labels: Record<string, string> = {}
  for (let left = from.count(); left > 0; left--) labels[readKey(from)] = from.text()
  return labels
}

export function writeResources(out: ByteWriter, resources: Resources): void {
  const names = Object.keys(resources)
  out.uint(names.length)
  for (const name of names) {
    out.text(name)
    out.float(resources[name] ?? 0)
  }
}

export function readResources(from: ByteReader): Resources {
  const resources: Record<string, number> = {}
  for (let left = from.count(); left > 0; left--) resources[readKey(from)] = from.float()
  return resources
}

/** `__proto__` would set the prototype instead of an entry, and the entry would be gone from the next encoding. */
function readKey(from: ByteReader): string {
  const name = from.text()
  if (name === '__proto__') throw malformed('key: got "__proto__"')
  return name
}

export function writeOptional<T>(
  out: ByteWriter,
  value: T | undefined,
  write: (out: ByteWriter, value: T) => void
): void {
  out.bool(value !== undefined)
  if (value !== undefined) write(out, value)
}

export function readOptional<T>(from: ByteReader, read: (from: ByteReader) => T): T | undefined {
  return from.bool() ? read(from) : undefined
}

export function writeError(out: ByteWriter, error: TaskError): void {
  out.text(error.code)
  out.text(error.message)
  out.bool(error.retryable)
}

export function readError(from: ByteReader): TaskError {
  return { code: from.text(), message: from.text(), retryable: from.bool() }
}

export function writeOrigin(out: ByteWriter, origin: Origin): void {
  out.uint(origin.node)
  out.uint(origin.incarnation)
  out.uint(origin.sequence)
  out.uint(origin.lowestOutstanding)
}

export function readOrigin(from: ByteReader): Origin {
  return {
    node: nodeId(from.uint()),
    incarnation: incarnation(from.uint()),
    sequence: from.uint(),
    lowestOutstanding: from.uint()
  }
}

export function writeKey(out: ByteWriter, key: IdempotencyKey): void {
  out.text(key.key)
  out.text(key.fingerprint)
  out.uint(key.ttlMs)
}

export function readKeyOfRequest(from: ByteReader): IdempotencyKey {
  return { key: from.text(), fingerprint: from.text(), ttlMs: durationMs(from.uint()) }
}

export function writeOffer(out: ByteWriter, offer: NodeOffer): void {
  writeTexts(out, offer.executors)
  writeLabels(out, offer.handlers)
  writeLabels(out, offer.labels)
  out.text(offer.zone)
  out.uint(offer.slots)
  writeResources(out, offer.resources)
  out.text(offer.url)
  writeTexts(out, offer.addresses)
  out.text(offer.version)
}

export function readOffer(from: ByteReader): NodeOffer {
  return {
    executors: readTexts(from),
    handlers: readLabels(from),
    labels: readLabels(from),
    zone: from.text(),
    slots: from.uint(),
    resources: readResources(from),
    url: from.text(),
    addresses: readTexts(from),
    version: from.text()
  }
}

const OUTCOMES = ['succeeded', 'failed', 'stopped', 'not-started'] as const

/** Measured times come with fractions; a millisecond is enough for the record. */
function whole(value: number): number {
  return value > 0 ? Math.round(value) : 0
}

export function writeReport(out: ByteWriter, report: AttemptReport): void {
  out.uint(report.taskId)
  out.uint(report.token)
  writeName(out, OUTCOMES, report.outcome)
  out.bytes(report.result)
  writeOptional(out, report.error, writeError)
  out.uint(whole(report.startedAt))
  out.uint(whole(report.finishedAt))
  out.uint(whole(report.runMs))
  out.uint(whole(report.peakMemoryBytes))
}

export function readReport(from: ByteReader): AttemptReport {
  return {
    taskId: taskId(from.uint()),
    token: fencingToken(from.uint()),
    outcome: readName(from, OUTCOMES),
    result: from.bytes(),
    error: readOptional(from, readError),
    startedAt: timestampMs(from.uint()),
    finishedAt: timestampMs(from.uint()),
    runMs: durationMs(from.uint()),
    peakMemoryBytes: from.uint()
  }
}
