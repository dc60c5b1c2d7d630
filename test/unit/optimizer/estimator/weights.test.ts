import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createRng } from '../../../../base/prng.ts'
import { initialWeights, WEIGHT_COUNT } from '../../../../optimizer/estimator/model.ts'
import { decodeModel, encodeModel, MODEL_BYTES } from '../../../../optimizer/estimator/weights.ts'

const weights = initialWeights(createRng(1))

test('a model comes back from its bytes as it was, wherever they lie, and is small', () => {
  const bytes = encodeModel(weights)
  expect(bytes.length).toBe(MODEL_BYTES)
  expect(bytes.length).toBeLessThanOrEqual(64 * 1024)
  const shifted = new Uint8Array(bytes.length + 3)
  shifted.set(bytes, 3)
  expect(decodeModel(bytes).weights).toEqual(weights)
  expect(decodeModel(shifted.subarray(3)).weights).toEqual(weights)
})

test('any changed byte and any other length is refused', () => {
  const bytes = encodeModel(weights)
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const damaged = bytes.slice()
      damaged[at] = damaged[at]! ^ change
      expect(() => decodeModel(damaged)).toThrow(/^model .*: got .*, expected/)
    })
  )
  expect(() => decodeModel(bytes.slice(0, -1))).toThrow('model length')
  expect(() => decodeModel(new Uint8Array())).toThrow('model length')
})

test.each([NaN, Infinity, -Infinity, 1e6])('a weight of %s is refused', (bad) => {
  const spoiled = weights.slice()
  spoiled[77] = bad
  expect(() => encodeModel(spoiled)).toThrow('model weight 77')
})

test('a model of another size is refused', () => {
  expect(() => encodeModel(new Float32Array(WEIGHT_COUNT - 1))).toThrow('model weights')
})
