import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FINE_BINS } from '../../../../optimizer/estimator/bins.ts'
import { blend, divide, mixIn, scale, scaleExpert, shrink } from '../../../../optimizer/estimator/sums.ts'

const number = fc.double({ min: -1e6, max: 1e6, noNaN: true })
const masses = fc.array(number, { minLength: FINE_BINS, maxLength: FINE_BINS })

test('every bin is what the plain loop makes of it, digit for digit', () => {
  fc.assert(
    fc.property(masses, masses, number, number, (first, second, a, b) => {
      const [x, y] = [Float64Array.from(first), Float64Array.from(second)]
      const [s, t] = [Float32Array.from(first), Float32Array.from(second)]
      const at = (values: ArrayLike<number>, bin: number): number => values[bin] ?? NaN

      const blended = new Float32Array(FINE_BINS)
      blend(blended, s, a, t, b)
      expect(blended).toEqual(s.map((value, bin) => value * a + at(t, bin) * b))
      const itself = t.slice()
      blend(itself, s, a, itself, b)
      expect(itself).toEqual(blended)

      const shrunk = x.slice()
      shrink(shrunk, s, a, b)
      expect(shrunk).toEqual(x.map((value, bin) => at(s, bin) * a + value * b))

      const long = Float64Array.from([...first, ...second])
      for (const from of [0, 1, FINE_BINS]) {
        const mixed = x.slice()
        mixIn(mixed, a, long, from, b)
        expect(mixed).toEqual(x.map((value, bin) => a * value + b * at(long, from + bin)))
      }

      const scaled = new Float64Array(FINE_BINS)
      scale(scaled, y, a)
      expect(scaled).toEqual(y.map((value) => value * a))
      const expert = new Float32Array(FINE_BINS)
      scaleExpert(expert, t, a)
      expect(expert).toEqual(t.map((value) => value * a))

      const divided = new Float64Array(FINE_BINS)
      divide(divided, y, 1 + Math.abs(b))
      expect(divided).toEqual(y.map((value) => value / (1 + Math.abs(b))))
    }),
    { numRuns: 20 }
  )
})
