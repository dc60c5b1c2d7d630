/** Compiles path and query schemas: text becomes the numbers and booleans that they ask for, then it is checked. */
import type { FastifySchemaCompiler } from 'fastify'
import type { TSchema } from 'typebox'
import { toAppError } from '../base/errors.ts'
import { compileCheck } from './validation.ts'

interface Property {
  readonly type?: string
  readonly anyOf?: readonly unknown[]
}

/** The server's validator compiler. Bodies are checked where they are converted, so they pass here. */
export const compileValidator: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  if (httpPart === 'body') return () => true
  const check = compileCheck(schema, httpPart === 'querystring' ? 'query' : (httpPart ?? 'request'))
  const properties = Object.entries((schema as { properties?: Record<string, Property> }).properties ?? {})
  return (data: Record<string, unknown>) => {
    for (const [name, property] of properties) {
      const text = data[name]
      if (typeof text === 'string') data[name] = converted(text, property)
    }
    try {
      check(data)
    } catch (error) {
      return { error: toAppError(error) }
    }
    return true
  }
}

function converted(text: string, property: Property): unknown {
  const numeric = property.type === 'integer' || property.anyOf !== undefined
  if (numeric && /^[0-9]{1,16}$/.test(text)) return Number(text)
  if (property.type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true'
  return text
}
