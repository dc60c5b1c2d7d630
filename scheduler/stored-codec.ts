/**
 * Encodings that rows of live tasks and of history share: blobs, and specs whose long inputs are references.
 */
import { timestampMs } from '../base/units.ts'
import type { ByteReader, ByteWriter } from './bytes.ts'
import { assemble, readBody, readNeeds, writeBody, writeNeeds } from './spec-codec.ts'
import type { Blob, StoredSpec, Task, TerminalStatus } from './types.ts'

/** Position is the number on disk: append only. */
export const TERMINAL = [
  'succeeded',
  'failed',
  'cancelled',
  'skipped'
] as const satisfies readonly TerminalStatus[]

export function writeBlob(out: ByteWriter, blob: Blob): void {
  const stored = 'sizeBytes' in blob
  out.bool(stored)
  if (stored) out.uint(blob.sizeBytes)
  else out.bytes(blob)
}

export function readBlob(from: ByteReader): Blob {
  return from.bool() ? { sizeBytes: from.uint() } : from.bytes()
}

export function writeStoredSpec(out: ByteWriter, id: Task['id'], spec: StoredSpec): void {
  writeBody(out, spec)
  writeBlob(out, spec.input)
  writeNeeds(out, id, spec.needs)
  out.uint(spec.notBefore)
  out.uint(spec.deadlineAt)
}

export function readStoredSpec(from: ByteReader, id: Task['id']): StoredSpec {
  const body = readBody(from)
  const input = readBlob(from)
  const needs = readNeeds(from, id)
  return assemble(body, input, needs, timestampMs(from.uint()), timestampMs(from.uint()))
}
