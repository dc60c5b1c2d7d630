/**
 * What a task spec and a node offer must satisfy, so that state stays bounded and sums stay exact. Ingress turns a
 * violation into an error that names the field; `apply` refuses the command. Rules about needs stand with whoever knows the
 * other tasks.
 *
 * Resource amounts are integers: used amounts are sums that are built up and taken down in different orders on different
 * nodes, and only integers below 2^53 add up to the same.
 */
import { LIMITS } from '../base/limits.ts'
import type { Labels, NodeOffer, Resources, TaskSpec } from './types.ts'

export interface Violation {
  /** Path within the spec: `resources.memory`. */
  readonly field: string
  readonly got: string
  readonly expected: string
}

function violation(field: string, got: string | number, expected: string): Violation {
  return { field, got: typeof got === 'string' ? JSON.stringify(got) : String(got), expected }
}

function integer(field: string, value: number, minimum: number, maximum: number): Violation | undefined {
  if (Number.isSafeInteger(value) && value >= minimum && value <= maximum) return undefined
  return violation(field, value, `an integer in [${minimum}, ${maximum}]`)
}

function name(field: string, value: string, minimum: number): Violation | undefined {
  if (value.length >= minimum && value.length <= LIMITS.nameLength) return undefined
  return violation(field, value.slice(0, 40), `${minimum} to ${LIMITS.nameLength} characters`)
}

/** Names of entries become keys of plain objects, where `__proto__` would vanish. */
function key(field: string, value: string): Violation | undefined {
  if (value === '__proto__') return violation(field, value, 'another name')
  return name(field, value, 1)
}

function labels(field: string, value: Labels): Violation | undefined {
  let count = 0
  for (const label in value) {
    const wrong = key(field, label) ?? name(`${field}.${label}`, value[label] ?? '', 0)
    if (wrong !== undefined) return wrong
    if (++count > LIMITS.labels) return violation(field, count, `at most ${LIMITS.labels} entries`)
  }
  return undefined
}

function amounts(field: string, value: Resources, maximum: number): Violation | undefined {
  let count = 0
  for (const resource in value) {
    const wrong = key(field, resource) ?? integer(`${field}.${resource}`, value[resource] ?? 0, 0, maximum)
    if (wrong !== undefined) return wrong
    if (++count > LIMITS.labels) return violation(field, count, `at most ${LIMITS.labels} entries`)
  }
  return undefined
}

function size(field: string, bytes: Uint8Array, maximum: number): Violation | undefined {
  return bytes.length <= maximum ? undefined : violation(field, bytes.length, `at most ${maximum} bytes`)
}

/** The first rule that a spec breaks, or undefined. */
export function checkSpec(spec: Omit<TaskSpec, 'needs'>): Violation | undefined {
  const { retry } = spec
  const longest = LIMITS.taskDurationMs
  return (
    name('name', spec.name, 1) ??
    name('tenant', spec.tenant, 1) ??
    name('executor', spec.executor, 1) ??
    name('handler', spec.handler, 0) ??
    size('params', spec.params, LIMITS.taskParamsBytes) ??
    size('input', spec.input, LIMITS.taskInputBytes) ??
    integer('priority', spec.priority, -100, 100) ??
    amounts('resources', spec.resources, LIMITS.resourceAmount) ??
    labels('nodeSelector', spec.nodeSelector) ??
    integer('retry.maxAttempts', retry.maxAttempts, 1, LIMITS.taskAttempts) ??
    integer('retry.baseDelayMs', retry.baseDelayMs, 0, longest) ??
    integer('retry.maxDelayMs', retry.maxDelayMs, 0, longest) ??
    integer('scheduleToStartMs', spec.scheduleToStartMs, 0, longest) ??
    integer('startToCloseMs', spec.startToCloseMs, 0, longest) ??
    integer('killGraceMs', spec.killGraceMs, 0, LIMITS.killGraceMs) ??
    integer('notBefore', spec.notBefore, 0, Number.MAX_SAFE_INTEGER) ??
    integer('deadlineAt', spec.deadlineAt, 0, Number.MAX_SAFE_INTEGER)
  )
}

/** The first rule that a node's offer breaks, or undefined. */
export function checkOffer(offer: NodeOffer): Violation | undefined {
  return (
    integer('slots', offer.slots, 0, LIMITS.nodeSlots) ??
    amounts('resources', offer.resources, Number.MAX_SAFE_INTEGER) ??
    labels('labels', offer.labels) ??
    ('__proto__' in offer.handlers && Object.hasOwn(offer.handlers, '__proto__')
      ? violation('handlers', '__proto__', 'another name')
      : undefined)
  )
}
