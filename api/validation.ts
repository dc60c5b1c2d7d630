/**
 * Checks requests against their schemas and says what is wrong in the user's terms: the path of the field, what was
 * got, what was expected, and for an unknown name the nearest known one.
 *
 * Does not convert: `submission.ts` gives a valid request its meaning.
 */
import { Compile } from 'typebox/compile'
import type { Validator } from 'typebox/compile'
import type { TSchema } from 'typebox'
import { AppError } from '../base/errors.ts'

interface SchemaNode {
  readonly type?: string
  readonly enum?: readonly unknown[]
  readonly description?: string
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>
  readonly items?: SchemaNode
}

/** Returns when the value fits the schema and throws INVALID_REQUEST otherwise. `at` is the path of the value. */
export type Check = (value: unknown, at?: string) => void

/** A check that was compiled once. `root` names the value itself in messages, when `at` is empty. */
export function compileCheck(schema: TSchema, root: string): Check {
  const validator: Validator = Compile(schema)
  return (value, at = '') => {
    if (!validator.Check(value)) throw describe(schema, validator.Errors(value), value, at, root)
  }
}

interface SchemaError {
  readonly keyword: string
  readonly schemaPath: string
  readonly instancePath: string
  readonly params: object
}

function describe(
  schema: SchemaNode,
  errors: readonly SchemaError[],
  value: unknown,
  at: string,
  root: string
): AppError {
  const error = mostTelling(errors)
  const segments = pathSegments(error?.instancePath ?? '')
  const path = segments.reduce(joinPath, at)
  const field = path === '' ? root : path
  const node = segments.reduce<SchemaNode | undefined>(schemaOf, schema)
  if (error?.keyword === 'additionalProperties') return unknownField(error, node, path)
  if (error?.keyword === 'required') {
    const names = (error.params as { requiredProperties?: readonly string[] }).requiredProperties ?? []
    return invalid(
      joinPath(path, names[0] ?? ''),
      undefined,
      describeSchema(node?.properties?.[names[0] ?? ''])
    )
  }
  return invalid(field, segments.reduce<unknown>(childOf, value), describeSchema(node))
}

/** An INVALID_REQUEST that names the field, what was got and what was expected, and the known name that was perhaps meant. */
export function invalid(field: string, got: unknown, expected: string, nearest?: string): AppError {
  const hint = nearest === undefined ? '' : `; did you mean ${nearest}?`
  return new AppError('INVALID_REQUEST', `${field}: got ${shown(got)}, expected ${expected}${hint}`, {
    details: {
      field,
      ...(got === undefined ? {} : { got: isShort(got) ? got : shown(got) }),
      expected,
      ...(nearest === undefined ? {} : { nearest })
    }
  })
}

function isShort(value: unknown): boolean {
  return typeof value === 'string' ? value.length <= 80 : typeof value !== 'object'
}

function unknownField(error: SchemaError, node: SchemaNode | undefined, at: string): AppError {
  const names = (error.params as { additionalProperties?: readonly string[] }).additionalProperties ?? []
  const name = names[0] ?? ''
  const known = Object.keys(node?.properties ?? {})
  if (known.length === 0) return invalid(at, name, describeSchema(node))
  const field = joinPath(at, name)
  const nearest = nearestName(name, known)
  const hint = nearest === undefined ? '' : `; did you mean ${nearest}?`
  const expected = `one of ${known.join(', ')}`
  return new AppError('INVALID_REQUEST', `${field}: unknown property${hint}`, {
    details: { field, got: name, expected, ...(nearest === undefined ? {} : { nearest }) }
  })
}

/** A union reports every branch: its own entry says it best. Otherwise the first error does. */
function mostTelling(errors: readonly SchemaError[]): SchemaError | undefined {
  const first = errors.find((error) => error.keyword !== 'boolean') ?? errors[0]
  const outermost = errors.filter((error) => error.keyword === 'anyOf' && isWithin(first, error)).at(-1)
  return outermost ?? first
}

function isWithin(inner: SchemaError | undefined, outer: SchemaError): boolean {
  return inner?.schemaPath.startsWith(`${outer.schemaPath}/anyOf`) ?? false
}

function pathSegments(pointer: string): string[] {
  if (pointer === '') return []
  return pointer
    .slice(1)
    .split('/')
    .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function joinPath(base: string, segment: string): string {
  if (/^[0-9]+$/.test(segment)) return `${base}[${segment}]`
  return base === '' ? segment : `${base}.${segment}`
}

function schemaOf(node: SchemaNode | undefined, segment: string): SchemaNode | undefined {
  if (node === undefined) return undefined
  return node.properties?.[segment] ?? node.items ?? Object.values(node.patternProperties ?? {})[0] ?? node
}

function childOf(value: unknown, segment: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[segment] : undefined
}

function describeSchema(node: SchemaNode | undefined): string {
  return node?.description ?? node?.enum?.join(' | ') ?? node?.type ?? 'something else'
}

/** A value as a message shows it: at most 80 characters of JSON. */
export function shown(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (Array.isArray(value) && value.length > 8) return `an array of ${value.length}`
  const text = JSON.stringify(value)
  return text.length <= 80 ? text : `${text.slice(0, 77)}...`
}

/** The known name closest to `name` by edits, when it is close enough to be a slip of the keyboard. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined
  let bestDistance = Math.max(2, Math.floor(name.length / 3)) + 1
  for (const candidate of known) {
    const distance = editDistance(name.slice(0, 64), candidate)
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** Insertions, deletions and replacements (case aside) that turn one text into the other. */
function editDistance(left: string, right: string): number {
  const a = left.toLowerCase()
  const b = right.toLowerCase()
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 0; i < a.length; i += 1) {
    const current = [i + 1]
    for (let j = 0; j < b.length; j += 1) {
      const replaced = (previous[j] ?? 0) + (a[i] === b[j] ? 0 : 1)
      current.push(Math.min(replaced, (previous[j + 1] ?? 0) + 1, (current[j] ?? 0) + 1))
    }
    previous = current
  }
  return previous[b.length] ?? 0
}
