/**
 * Relative speeds of cloud machines (Azure's vm-noise data; Freischuetz et al., "TUNA", EuroSys 2025) as noise by kind of
 * task: `cpu` from Sysbench's CPU test, `memory` from Stress-NG's cache test, both on short-lived burstable machines.
 */
import type { QuantileTable } from '../sim/quantile-table.ts'
import { malformed } from './malformed.ts'

const SERIES_OF_KIND = { cpu: 'Test:_CPU', memory: 'Test:_CPU_Cache' } as const
const LIFESPAN = 'short'

interface NoiseSeries {
  readonly test_name: string
  readonly vm_lifespan: string
  readonly rel_speed_quantiles: readonly number[]
}

/** Noise tables by kind. Throws an `AppError` when the file is not of this form. */
export function parseVmNoise(text: string, file: string): Record<string, QuantileTable> {
  const fail = (field: string, got: unknown, expected: string): Error =>
    malformed({ file, line: 1, field, got, expected })
  let data: unknown
  try {
    data = JSON.parse(text)
  } catch {
    throw fail('file', text, 'JSON')
  }
  if (typeof data !== 'object' || data === null) throw fail('file', data, 'an object')
  const { quantile_levels: levels, series } = data as { quantile_levels?: unknown; series?: unknown }
  if (!Array.isArray(levels)) throw fail('quantile_levels', levels, 'an array of percentages')
  if (!Array.isArray(series)) throw fail('series', series, 'an array')
  const tables: Record<string, QuantileTable> = {}
  for (const [kind, test] of Object.entries(SERIES_OF_KIND)) {
    const found = (series as (NoiseSeries | null)[]).find(
      (one) => one?.test_name === test && one.vm_lifespan === LIFESPAN
    )
    if (!Array.isArray(found?.rel_speed_quantiles) || found.rel_speed_quantiles.length !== levels.length) {
      throw fail('series', test, `a series of this test with ${levels.length} quantiles`)
    }
    if (!found.rel_speed_quantiles.every((speed: unknown) => isSpeed(speed))) {
      throw fail(`series ${test}`, found.rel_speed_quantiles, 'speeds above 0')
    }
    tables[kind] = {
      levels: levels.map((level) => Number(level) / 100),
      values: found.rel_speed_quantiles
    }
  }
  return tables
}

function isSpeed(value: unknown): boolean {
  return typeof value === 'number' && value > 0 && value < Infinity
}
