/** The version of row encodings, and the errors of rows that do not decode. */
import { AppError } from '../base/errors.ts'
import type { ByteReader } from './bytes.ts'

/**
 * Version of all row encodings; checksums compare only between equal versions. Only ever rises, and nodes of different ones do not greet
 * (`node/transport/hello.ts`).
 */
export const RECORD_VERSION = 4

/** Reads a row's version. Throws DATA_VERSION_UNSUPPORTED for one that this program does not know. */
export function expectVersion(from: ByteReader): void {
  const version = from.uint()
  if (version === RECORD_VERSION) return
  throw new AppError('DATA_VERSION_UNSUPPORTED', `row version: got ${version}, expected ${RECORD_VERSION}`)
}

/** A row that does not decode, named. */
export function corrupt(what: string, cause: unknown): AppError {
  if (cause instanceof AppError && cause.code === 'DATA_VERSION_UNSUPPORTED') return cause
  const detail = cause instanceof Error ? cause.message : String(cause)
  return new AppError('STATE_CORRUPT', `${what}: ${detail}`, { cause })
}
