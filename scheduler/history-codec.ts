/** Encoding of history rows: cold, written once, each sealed with a hash of its own. */
import { fencingToken, nodeId, taskId } from '../base/ids.ts'
import { durationMs, timestampMs } from '../base/units.ts'
import type { ByteReader, ByteWriter } from './bytes.ts'
import { hashBytes } from './checksum.ts'
import { TERMINAL, readBlob, readStoredSpec, writeBlob, writeStoredSpec } from './stored-codec.ts'
import type { HistoryRow } from './types.ts'
import { readError, readName, readOptional, writeError, writeName, writeOptional } from './value-codec.ts'

/** Sealed with a hash: no checksum covers history. */
export function writeHistory(out: ByteWriter, row: HistoryRow): void {
  out.uint(row.id)
  out.uint(row.group)
  writeName(out, TERMINAL, row.status)
  out.uint(row.submittedAt)
  out.uint(row.readyAt)
  out.uint(row.startedAt)
  out.uint(row.finishedAt)
  out.uint(row.attempts)
  out.uint(row.copies)
  out.uint(row.attempt)
  out.uint(row.node ?? 0)
  out.uint(row.token ?? 0)
  out.uint(row.runMs)
  out.uint(row.peakMemoryBytes)
  writeOptional(out, row.error, writeError)
  writeBlob(out, row.result)
  writeStoredSpec(out, row.id, row.spec)
  out.seal(hashBytes)
}

/** The seal was checked and taken off. */
export function readHistory(from: ByteReader): HistoryRow {
  const id = taskId(from.uint())
  const group = taskId(from.uint())
  const status = readName(from, TERMINAL)
  const submittedAt = timestampMs(from.uint())
  const readyAt = timestampMs(from.uint())
  const startedAt = timestampMs(from.uint())
  const finishedAt = timestampMs(from.uint())
  const attempts = from.uint()
  const copies = from.uint()
  const attempt = from.uint()
  const node = from.uint()
  const token = from.uint()
  const runMs = durationMs(from.uint())
  const peakMemoryBytes = from.uint()
  const error = readOptional(from, readError)
  const result = readBlob(from)
  return {
    id,
    group,
    spec: readStoredSpec(from, id),
    status,
    submittedAt,
    readyAt,
    startedAt,
    finishedAt,
    attempts,
    copies,
    attempt,
    node: node === 0 ? undefined : nodeId(node),
    token: token === 0 ? undefined : fencingToken(token),
    result,
    error,
    runMs,
    peakMemoryBytes
  }
}
