/**
 * Between quantiles as they are promised and levels of the distribution that they are read from: the median, the p90 and the p99 are corrected,
 * others are read off between and beyond them on the logit. The way back says where in what was promised an outcome stood.
 */

export const MEDIAN = 0.5
/** The quantiles that are kept honest. Those between and beyond are read off them. */
export const PROMISED = [0.9, 0.99] as const

/** A level goes no further up, on its logit: one in 22,000 is above. */
export const LARGEST_LOGIT = 10

/** How quantiles are corrected at one moment. */
export interface Levels {
  /** The level that stands for the median. */
  readonly centre: number
  /** The logits of the levels that stand for `PROMISED`: neither below that of `centre`, and in order. */
  readonly low: number
  readonly high: number
}

/** The level to ask of the distribution when `q` is promised. Rises with `q`. */
export function levelOf({ centre, low, high }: Levels, q: number): number {
  if (q <= MEDIAN) return (q / MEDIAN) * centre
  const wanted = logit(q)
  const least = logit(centre)
  if (wanted <= LOGIT_90) return Math.max(centre, logistic(least + (wanted / LOGIT_90) * (low - least)))
  if (wanted <= LOGIT_99) return logistic(low + ((wanted - LOGIT_90) / (LOGIT_99 - LOGIT_90)) * (high - low))
  return logistic(high + (wanted - LOGIT_99))
}

/** The quantile for which this level is asked: the way back from `levelOf`, rising with `level`. */
export function promisedAt({ centre, low, high }: Levels, level: number): number {
  if (level <= centre) return (level / centre) * MEDIAN
  const at = logit(level)
  const least = logit(centre)
  if (at <= low && low > least) return logistic(((at - least) / (low - least)) * LOGIT_90)
  if (at <= high && high > low)
    return logistic(LOGIT_90 + ((at - low) / (high - low)) * (LOGIT_99 - LOGIT_90))
  return logistic(LOGIT_99 + (at - high))
}

export function logit(q: number): number {
  return Math.log(q / (1 - q))
}

export function logistic(at: number): number {
  return 1 / (1 + Math.exp(-at))
}

export const LOGIT_90 = logit(PROMISED[0])
export const LOGIT_99 = logit(PROMISED[1])
