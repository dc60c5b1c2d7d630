/**
 * A model as bytes: what is replicated, stored and compared.
 *
 *     "DTSM" | format u16 | 0 u16 | features u16 | hidden u16 | gates u16 | octaves u16 | weights u32 | weights f32… | CRC-32C u32
 *
 * All little-endian. What is unknown, damaged, of another shape, not finite or absurdly large is refused, never repaired: a node
 * that cannot read a model goes on with its statistics.
 */
import { crc32c } from '../../base/crc32c.ts'
import { AppError } from '../../base/errors.ts'
import { OCTAVES } from './bins.ts'
import { HIDDEN, WEIGHT_COUNT } from './model.ts'
import { FEATURE_COUNT, GATE_COUNT } from './rows.ts'

const MAGIC = 0x4d535444
/** Grows when features, experts or their meaning change, not only with the layout. */
const FORMAT = 2
const HEADER_BYTES = 20
const CRC_BYTES = 4
export const MODEL_BYTES = HEADER_BYTES + 4 * WEIGHT_COUNT + CRC_BYTES
/** Trained weights stay within a few units; beyond this a model is broken or made to harm. */
const LARGEST_WEIGHT = 1e3

/** A model that was read and checked. */
export interface Model {
  readonly weights: Float32Array
}

/** The model's bytes. Throws `ENCODING_INVALID` when the weights would be refused. */
export function encodeModel(weights: Float32Array): Uint8Array {
  checkWeights(weights)
  const bytes = new Uint8Array(MODEL_BYTES)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, MAGIC, true)
  view.setUint16(4, FORMAT, true)
  SHAPE.forEach(([, value], index) => {
    view.setUint16(8 + 2 * index, value, true)
  })
  view.setUint32(16, weights.length, true)
  weights.forEach((weight, index) => {
    view.setFloat32(HEADER_BYTES + 4 * index, weight, true)
  })
  view.setUint32(MODEL_BYTES - CRC_BYTES, crc32c(bytes.subarray(0, MODEL_BYTES - CRC_BYTES)), true)
  return bytes
}

/** Reads a model. Throws `ENCODING_INVALID` that says what was wrong. */
export function decodeModel(bytes: Uint8Array): Model {
  if (bytes.length !== MODEL_BYTES) throw refused('length', bytes.length, `${MODEL_BYTES} bytes`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.getUint32(0, true) !== MAGIC) throw refused('magic', view.getUint32(0, true), MAGIC)
  if (view.getUint16(4, true) !== FORMAT) throw refused('format', view.getUint16(4, true), FORMAT)
  SHAPE.forEach(([field, expected], index) => {
    const got = view.getUint16(8 + 2 * index, true)
    if (got !== expected) throw refused(field, got, expected)
  })
  const crc = crc32c(bytes.subarray(0, MODEL_BYTES - CRC_BYTES))
  const stored = view.getUint32(MODEL_BYTES - CRC_BYTES, true)
  if (crc !== stored) throw refused('checksum', stored, crc)
  const weights = Float32Array.from({ length: WEIGHT_COUNT }, (_, index) =>
    view.getFloat32(HEADER_BYTES + 4 * index, true)
  )
  checkWeights(weights)
  return { weights }
}

const SHAPE = [
  ['features', FEATURE_COUNT],
  ['hidden', HIDDEN],
  ['gates', GATE_COUNT],
  ['octaves', OCTAVES]
] as const

function checkWeights(weights: Float32Array): void {
  if (weights.length !== WEIGHT_COUNT) throw refused('weights', weights.length, WEIGHT_COUNT)
  const bad = weights.findIndex((weight) => !(Math.abs(weight) <= LARGEST_WEIGHT))
  if (bad >= 0) throw refused(`weight ${bad}`, weights[bad], `a number within ±${LARGEST_WEIGHT}`)
}

function refused(field: string, got: unknown, expected: string | number): AppError {
  return new AppError('ENCODING_INVALID', `model ${field}: got ${String(got)}, expected ${expected}`, {
    details: { field, got, expected }
  })
}
