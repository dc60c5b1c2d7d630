import type { TaskHandler } from '../../client/task.ts'

/** The handler that an exported value is: a function, or what `defineTask` returns. Undefined for anything else. */
export function handlerOf(value: unknown): TaskHandler | undefined {
  if (typeof value === 'function') return isClass(value) ? undefined : (value as TaskHandler)
  if (typeof value !== 'object' || value === null) return undefined
  const { run } = value as { run?: unknown }
  return typeof run === 'function' ? (run as TaskHandler).bind(value) : undefined
}

/**
 * The handlers of a module: its default export (or else `run`) under the module's own name, others as
 * `<module>.<export>`; a definition that carries a name has that.
 */
export function handlersOf(
  moduleName: string,
  exports: Readonly<Record<string, unknown>>
): { readonly name: string; readonly exportName: string }[] {
  const found: { name: string; exportName: string }[] = []
  const main = handlerOf(exports['default']) === undefined ? 'run' : 'default'
  for (const [exportName, value] of Object.entries(exports)) {
    if (handlerOf(value) === undefined || exportName === 'module.exports') continue
    const byRule = exportName === main ? moduleName : `${moduleName}.${exportName}`
    found.push({ name: ownName(value) ?? byRule, exportName })
  }
  return found
}

function ownName(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { name } = value as { name?: unknown }
  return typeof name === 'string' && name !== '' ? name : undefined
}

function isClass(value: unknown): boolean {
  return /^class\b/.test(Function.prototype.toString.call(value))
}
