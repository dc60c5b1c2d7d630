/** Parsers of the options of `dtss start` and `dtss dev`: what is wrong is named with what was expected. */
import { availableParallelism } from 'node:os'
import { InvalidArgumentError } from 'commander'
import { LIMITS } from '../../base/limits.ts'
import { checkOffer } from '../../scheduler/spec-rules.ts'
import type { NodeOffer } from '../../scheduler/types.ts'
import { UsageError } from './context.ts'

const TIMINGS = ['default', 'lan'] as const
const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const

/** A node runs as many attempts at once as it has cores, and two at the least. */
export function defaultSlots(): number {
  return Math.max(2, availableParallelism())
}

export function parsePort(text: string): number {
  return parseInteger(text, 0, 65_535)
}

export function parseCount(text: string): number {
  return parseInteger(text, 0, 10_000)
}

/** Nodes of one cluster. */
export function parseNodes(text: string): number {
  return parseInteger(text, 1, LIMITS.nodes)
}

/** How long nodes wait for one another. */
export function parseTiming(text: string): (typeof TIMINGS)[number] {
  return parseOneOf(text, TIMINGS)
}

export function parseLogLevel(text: string): (typeof LOG_LEVELS)[number] {
  return parseOneOf(text, LOG_LEVELS)
}

function parseOneOf<T extends string>(text: string, known: readonly T[]): T {
  const found = known.find((name) => name === text)
  if (found !== undefined) return found
  throw new InvalidArgumentError(`got "${text}", expected one of ${known.join(', ')}`)
}

/** A share in (0, 1]. */
export function parseShare(text: string): number {
  const value = Number(text)
  if (/^[\d.]+$/.test(text) && value > 0 && value <= 1) return value
  throw new InvalidArgumentError(`got "${text}", expected a share above 0, up to 1`)
}

export function parseLabels(
  text: string,
  former: Readonly<Record<string, string>>
): Readonly<Record<string, string>> {
  const [key, value] = pair(text)
  return { ...former, [key]: value }
}

export function parseResources(
  text: string,
  former: Readonly<Record<string, number>>
): Readonly<Record<string, number>> {
  const [name, value] = pair(text)
  // How large it may be, and what the name may be, `checkOffered` says.
  const amount = value.trim() === '' ? NaN : Number(value)
  if (Number.isNaN(amount)) throw new InvalidArgumentError(`got "${value}", expected an integer`)
  return { ...former, [name]: amount }
}

type Offered = Pick<NodeOffer, 'slots' | 'labels' | 'resources'>

const OPTION_OF: Readonly<Record<string, string>> = {
  slots: '--slots',
  labels: '--label',
  resources: '--resource'
}

/** Throws a usage error for what the cluster would refuse of a node that offers this, by the cluster's own rule. */
export function checkOffered(offered: Offered): void {
  const rest = { executors: [], handlers: {}, zone: '', url: '', addresses: [], version: '' }
  const wrong = checkOffer({ ...rest, ...offered })
  if (wrong === undefined) return
  const { field, got, expected } = wrong
  const [table = '', ...name] = field.split('.')
  const option = [OPTION_OF[table] ?? table, name.join('.')].filter(Boolean).join(' ')
  throw new UsageError(`${option}: got ${got}, expected ${expected}`, { field, got, expected })
}

/** An integer of digits alone, within these bounds. */
export function parseInteger(text: string, minimum: number, maximum: number): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= minimum && value <= maximum) return value
  throw new InvalidArgumentError(`got "${text}", expected an integer from ${minimum} to ${maximum}`)
}

function pair(text: string): [string, string] {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError(`got "${text}", expected name=value`)
  return [text.slice(0, at), text.slice(at + 1)]
}
