/**
 * The simulator against published and earlier figures, on real logs that are not part of the repository: they are read
 * from DTSS_TRACES (default: ../shared/traces) and the tests are skipped where that folder is absent.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { createRng } from '../../../../base/prng.ts'
import { findPolicies } from '../../../../optimizer/lab/catalog.ts'
import { metricsOf, outcomes } from '../../../../optimizer/lab/metrics.ts'
import { parseSwf } from '../../../../optimizer/lab/swf.ts'
import { swfTrace } from '../../../../optimizer/lab/swf-trace.ts'
import { simulate } from '../../../../optimizer/sim/engine.ts'
import type { RunMetrics } from '../../../../optimizer/lab/metrics.ts'
import type { Instance } from '../../../../optimizer/lab/trace.ts'

const TRACES = process.env['DTSS_TRACES'] ?? join(import.meta.dirname, '../../../../../shared/traces')
const SLOWDOWN_BOUND_MS = 10_000
const withTraces = test.skipIf(!existsSync(TRACES))

withTraces('KTH-SP2: the EASY family is where the papers have it', () => {
  const instance = instanceOf('KTH-SP2-1996-2.1-cln.swf.gz', undefined)
  // Gaussier et al. (SC 2015): 92.6, 69.4, 62.9, 49.8, with the first 1 % of jobs left out.
  const first = Math.floor(instance.workload.tasks.length / 100)
  const slowdowns = ['easy', 'easy-sjbf', 'easy++', 'perfect++'].map(
    (name) => measure(instance, name, first).boundedSlowdown
  )
  expect(slowdowns.map((value) => Math.round(value * 10) / 10)).toEqual([87.3, 67.4, 62.9, 48.6])
})

withTraces('LCG at load 0.9: FIFO and the truth are where they were measured before', () => {
  const instance = instanceOf('LCG-2005-1.swf.gz', 0.9, 30_000)
  const fifo = measure(instance, 'fifo-fit')
  const truth = measure(instance, 'sjf-oracle')
  expect([fifo.meanJctS / 1000, fifo.boundedSlowdown].map((value) => value.toFixed(1))).toEqual([
    '8.7',
    '14.7'
  ])
  expect([truth.meanJctS / 1000, truth.boundedSlowdown].map((value) => value.toFixed(2))).toEqual([
    '6.73',
    '1.03'
  ])
})

withTraces('METACENTRUM at load 0.9: so are FIFO, last-two and the truth', () => {
  const instance = instanceOf('METACENTRUM-2009-2.swf.gz', 0.9, 30_000)
  const figures = ['fifo-fit', 'sjf-last2', 'sjf-oracle'].map((name) => measure(instance, name))
  expect(figures.map(({ meanJctS }) => Math.round(meanJctS / 100) / 10)).toEqual([217.8, 76.6, 60])
  expect(figures.map(({ boundedSlowdown }) => Math.round(boundedSlowdown))).toEqual([1110, 393, 143])
})

function instanceOf(file: string, load: number | undefined, limit?: number): Instance {
  const path = join(TRACES, 'swf', file)
  const lines = gunzipSync(readFileSync(path)).toString().split('\n')
  const [instance] = swfTrace(file, parseSwf(lines, path, limit)).instances(0, load)
  return instance!
}

function measure(instance: Instance, name: string, from = 0): RunMetrics {
  const policy = findPolicies([name])[0]!.make(instance, createRng(1))
  const result = simulate(instance.workload, instance.cluster, policy, { model: instance.model() })
  return metricsOf(result, instance, outcomes(result, 'task', SLOWDOWN_BOUND_MS, instance.idealMs), from)
}
