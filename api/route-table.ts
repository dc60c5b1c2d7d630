/** The paths that exist and their methods, so that a wrong method is told apart from an unknown path. */
import type { FastifyInstance } from 'fastify'

interface Route {
  readonly path: RegExp
  readonly methods: Set<string>
}

export class RouteTable {
  readonly #routes = new Map<string, Route>()

  /** Records each route that is registered on `app` from now on. */
  watch(app: FastifyInstance): void {
    app.addHook('onRoute', ({ url, method }) => {
      const known = this.#routes.get(url)
      const route = known ?? { path: matcher(url), methods: new Set<string>() }
      for (const name of Array.isArray(method) ? method : [method]) route.methods.add(name)
      this.#routes.set(url, route)
    })
  }

  /** The methods that `path` supports, sorted; empty when there is no such path. */
  methodsOf(path: string): readonly string[] {
    const methods = new Set<string>()
    for (const route of this.#routes.values()) {
      if (route.path.test(path)) for (const method of route.methods) methods.add(method)
    }
    return [...methods].sort()
  }
}

/** A pattern for a route such as `/v1/tasks/:id`. */
function matcher(url: string): RegExp {
  const parts = url
    .split('/')
    .map((part) => (part.startsWith(':') ? '[^/]+' : part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')))
  return new RegExp(`^${parts.join('/')}$`)
}
