/** The row that says which log position a state store stands for, and the checksum of its hot rows. */
import { Packr } from 'msgpackr'
import { AppError } from '../../base/errors.ts'
import type { ConfState } from '../../consensus/index.ts'

export interface StateMeta {
  readonly index: number
  readonly term: number
  readonly confState: ConfState
  /** Version of the row encodings. */
  readonly recordVersion: number
  /** `stateChecksum` of the hot rows at `index`. */
  readonly checksum: string
}

export const META_KEY = 'm'
const META_VERSION = 1
const packr = new Packr({ useRecords: false })
const utf8 = new TextEncoder()

/** A key as the store wants it. */
export function keyBytes(key: string): Uint8Array {
  return utf8.encode(key)
}

export function encodeMeta(meta: StateMeta): Uint8Array {
  const { voters, learners, votersOutgoing, learnersNext, autoLeave } = meta.confState
  const confState = [voters, learners, votersOutgoing, learnersNext, autoLeave]
  return packr.pack([META_VERSION, meta.index, meta.term, confState, meta.recordVersion, meta.checksum])
}

/** Throws `STATE_CORRUPT` or `DATA_VERSION_UNSUPPORTED`. */
export function decodeMeta(bytes: Uint8Array): StateMeta {
  const value = unpack(bytes)
  if (value[0] !== META_VERSION) {
    throw new AppError(
      'DATA_VERSION_UNSUPPORTED',
      `state store: got version ${String(value[0])}, expected ${META_VERSION}`
    )
  }
  const [, index, term, confState, recordVersion, checksum] = value
  if (typeof index !== 'number' || typeof term !== 'number' || typeof recordVersion !== 'number')
    throw corrupt()
  if (typeof checksum !== 'string' || !Array.isArray(confState) || confState.length !== 5) throw corrupt()
  const [voters, learners, votersOutgoing, learnersNext, autoLeave] = confState as unknown[]
  return {
    index,
    term,
    recordVersion,
    checksum,
    confState: {
      voters: ids(voters),
      learners: ids(learners),
      votersOutgoing: ids(votersOutgoing),
      learnersNext: ids(learnersNext),
      autoLeave: autoLeave === true
    }
  }
}

function unpack(bytes: Uint8Array): unknown[] {
  let value: unknown
  try {
    value = packr.unpack(bytes)
  } catch (error) {
    throw corrupt(error)
  }
  if (!Array.isArray(value)) throw corrupt()
  return value as unknown[]
}

function ids(value: unknown): number[] {
  if (!Array.isArray(value) || !value.every((id) => typeof id === 'number')) throw corrupt()
  return value
}

function corrupt(cause?: unknown): AppError {
  return new AppError('STATE_CORRUPT', 'state store: its meta row does not decode', { cause })
}
