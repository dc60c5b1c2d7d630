/** Reads a trace from disk, by what its path looks like, and hands it to the parser of its format. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { AppError } from '../../base/errors.ts'
import { parseHistoryFile } from '../../node/cli/lab/history-file.ts'
import { historyTrace } from '../../optimizer/lab/history-trace.ts'
import { openbTrace, parseOpenbNodes, parseOpenbPods } from '../../optimizer/lab/openb.ts'
import { parseSwf } from '../../optimizer/lab/swf.ts'
import { swfTrace } from '../../optimizer/lab/swf-trace.ts'
import { SYNTHETIC_DEFAULTS, syntheticTrace } from '../../optimizer/lab/synthetic.ts'
import { parseTpch } from '../../optimizer/lab/tpch.ts'
import { TPCH_DEFAULTS, tpchTrace } from '../../optimizer/lab/tpch-trace.ts'
import type { Trace } from '../../optimizer/lab/trace.ts'
import { parseVmNoise } from '../../optimizer/lab/vm-noise.ts'
import { parseWorkflows } from '../../optimizer/lab/wfinstances.ts'
import { workflowTrace } from '../../optimizer/lab/wfinstances-trace.ts'

export interface LoadOptions {
  /** Jobs, workflows or tasks taken from the beginning. */
  readonly limit?: number | undefined
  /** SWF: jobs that are skipped before those. */
  readonly from?: number | undefined
  /** SWF: overlapping parts of the log, of `limit` jobs each, instead of its beginning. */
  readonly windows?: number | undefined
  /** Nodes of the simulated cluster, where the format leaves that open. */
  readonly nodes?: number | undefined
  /** TPC-H: jobs that arrive, and the mean gap between them in seconds. */
  readonly jobs?: number | undefined
  readonly gapS?: number | undefined
  /** A file of machine noise, for the synthetic trace. */
  readonly noise?: string | undefined
}

/** The trace at `path`, or the synthetic one. Throws `INVALID_REQUEST` when it cannot be read. */
export function loadTrace(path: string, options: LoadOptions): Trace {
  if (path === 'synthetic') return synthetic(options)
  if (!existsSync(path)) throw unreadable(path, 'no such file', 'a trace file or "synthetic"')
  if (statSync(path).isDirectory()) return openb(join(path, 'openb_pods.csv'), options)
  const name = basename(path).replace(/\.gz$/, '')
  if (name.endsWith('.swf')) {
    return swf(path, name.replace(/\.swf$/, ''), options)
  }
  if (options.windows !== undefined) throw unreadable(path, '--windows', 'an SWF log (.swf) for it')
  if (options.from !== undefined) throw unreadable(path, '--from', 'an SWF log (.swf) for it')
  if (name.endsWith('.csv')) return openb(path, options)
  if (name.endsWith('.ndjson')) return recorded(path, name.replace(/\.ndjson$/, ''), options)
  if (name.endsWith('.jsonl')) return jsonl(path, name.replace(/\.jsonl$/, ''), options)
  throw unreadable(
    path,
    basename(path),
    'a name that ends in .swf, .jsonl, .ndjson, .csv (or these with .gz)'
  )
}

function swf(path: string, name: string, { limit, from = 0, windows }: LoadOptions): Trace {
  if (windows === undefined) {
    const log = parseSwf(lines(path), path, limit === undefined ? undefined : from + limit)
    return swfTrace(name, { ...log, jobs: log.jobs.slice(from) })
  }
  return swfTrace(name, parseSwf(lines(path), path), { count: windows, jobs: limit })
}

function jsonl(path: string, name: string, options: LoadOptions): Trace {
  const all = lines(path)
  // Jobs of Spark have stages, workflows have tasks: the first line tells which.
  if (/"stages"\s*:/.test(all.find((line) => line.trim() !== '') ?? '')) {
    return tpchTrace(name, parseTpch(all, path), {
      ...TPCH_DEFAULTS,
      executors: options.nodes ?? TPCH_DEFAULTS.executors,
      jobs: options.jobs ?? options.limit ?? TPCH_DEFAULTS.jobs,
      gapMs: options.gapS === undefined ? TPCH_DEFAULTS.gapMs : options.gapS * 1000
    })
  }
  return workflowTrace(name, parseWorkflows(all, path).slice(0, options.limit), options.nodes)
}

/** What `dtss lab --save` wrote. */
function recorded(path: string, name: string, options: LoadOptions): Trace {
  const { nodes, tasks } = parseHistoryFile(text(path), path)
  return historyTrace(name, tasks.slice(0, options.limit), nodes)
}

function openb(path: string, options: LoadOptions): Trace {
  const nodesPath = join(dirname(path), basename(path).replace('pods', 'nodes'))
  if (nodesPath === path) throw unreadable(path, basename(path), 'a name that contains "pods"')
  const source = parseOpenbPods(text(path), path)
  const pods = source.pods.slice(0, options.limit)
  return openbTrace('openb', { ...source, pods }, parseOpenbNodes(text(nodesPath), nodesPath))
}

function synthetic(options: LoadOptions): Trace {
  const noise = options.noise === undefined ? undefined : parseVmNoise(text(options.noise), options.noise)
  return syntheticTrace({
    ...SYNTHETIC_DEFAULTS,
    tasks: options.limit ?? SYNTHETIC_DEFAULTS.tasks,
    nodes: options.nodes ?? SYNTHETIC_DEFAULTS.nodes,
    ...(noise !== undefined && { noise })
  })
}

function lines(path: string): string[] {
  return text(path).split('\n')
}

function text(path: string): string {
  try {
    const bytes = readFileSync(path)
    return (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8')
  } catch (error) {
    throw unreadable(path, error instanceof Error ? error.message : String(error), 'a readable file', error)
  }
}

function unreadable(path: string, got: string, expected: string, cause?: unknown): AppError {
  return new AppError('INVALID_REQUEST', `trace ${path}: got ${got}, expected ${expected}`, {
    cause,
    details: { field: 'trace', got: path, expected }
  })
}
