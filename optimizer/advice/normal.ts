/** The standard normal distribution. */

const LOW = 0.02425
const A = [
  -39.69683028665376, 220.9460984245205, -275.9285104469687, 138.357751867269, -30.66479806614716,
  2.506628277459239
]
const B = [-54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572]
const C = [
  -0.007784894002430293, -0.3223964580411365, -2.400758277161838, -2.549732539343734, 4.374664141464968,
  2.938163982698783
]
const D = [0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416]

/** The value that is not exceeded with probability `p`, in (0, 1) (Acklam's rational approximation; error below 1.2e-9). */
export function normalQuantile(p: number): number {
  if (p > 1 - LOW) return -normalQuantile(1 - p)
  if (p < LOW) {
    const q = Math.sqrt(-2 * Math.log(Math.max(p, Number.MIN_VALUE)))
    return polynomial(C, q) / (polynomial(D, q) * q + 1)
  }
  const q = p - 0.5
  return (polynomial(A, q * q) * q) / (polynomial(B, q * q) * q * q + 1)
}

/** The probability of a value up to `z`, in (0, 1) (Abramowitz & Stegun 7.1.26; error below 1e-7). */
export function normalProbability(z: number): number {
  const x = Math.abs(z) / Math.SQRT2
  const t = 1 / (1 + 0.3275911 * x)
  const sum = polynomial([1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592, 0], t)
  const above = Math.max(1e-9, (sum * Math.exp(-x * x)) / 2)
  return z > 0 ? 1 - above : above
}

/** The coefficient of the highest power comes first. */
function polynomial(coefficients: readonly number[], x: number): number {
  let sum = 0
  for (const coefficient of coefficients) sum = sum * x + coefficient
  return sum
}
