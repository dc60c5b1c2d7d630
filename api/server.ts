/**
 * The HTTP server of a node: fastify with our routes, problems, host rules and the served OpenAPI document.
 *
 * Owns nothing but HTTP. All that it knows of the node comes through `NodePort`; routes stand one file per resource
 * under `routes/`.
 */
import swagger, { type FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import { isUtf8 } from 'node:buffer'
import fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import { AppError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { second } from '../base/units.ts'
import { HEADERS } from '../base/wire/headers.ts'
import { Streams } from './context.ts'
import type { RouteContext, ServerLog } from './context.ts'
import { checkBinding, createHostCheck } from './hosts.ts'
import type { HostRules } from './hosts.ts'
import type { NodePort } from './ports.ts'
import { answerProblems, rawProblem, sendProblem, translate } from './problems.ts'
import { compileValidator } from './queries.ts'
import { RouteTable } from './route-table.ts'
import { adviceRoutes } from './routes/advice.ts'
import { clusterRoutes } from './routes/cluster.ts'
import { historyRoutes } from './routes/history.ts'
import { logRoutes } from './routes/logs.ts'
import { modelRoutes } from './routes/models.ts'
import { operationRoutes } from './routes/operations.ts'
import { policyRoutes } from './routes/policy.ts'
import { submitRoutes } from './routes/submit.ts'
import { taskRoutes } from './routes/tasks.ts'
import { addSharedSchemas } from './schemas.ts'
import { invalid } from './validation.ts'

export interface ServerOptions extends HostRules {
  readonly port: NodePort
  readonly log: ServerLog
  /** The version of DTSS, for the served document. */
  readonly version: string
  /** Distinguishes this process's request ids from its predecessor's. */
  readonly bootId: string
  /** Between two signs of life on an idle event stream. Default 15 s: proxies cut silent connections after 30 or 60. */
  readonly heartbeatMs?: number
}

/** A server that answers `inject`, and `listen` (see below). Closing it ends open streams. */
export async function createServer(options: ServerOptions): Promise<FastifyInstance> {
  const { port, log } = options
  const app = newApp(options)
  const routes = new RouteTable()
  const context: RouteContext = {
    port,
    log,
    streams: new Streams(),
    heartbeatMs: options.heartbeatMs ?? 15 * second
  }
  parseJsonOnly(app)
  guard(app, options, context)
  answerProblems(app, log, routes)
  routes.watch(app)
  addSharedSchemas(app)
  app.setValidatorCompiler(compileValidator)
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'DTSS',
        version: options.version,
        description: 'Distributed task scheduling. Any node takes any request.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' }
      }
    },
    refResolver: {
      buildLocalReference: (schema, _baseUri, _fragment, index) =>
        typeof schema['$id'] === 'string' ? schema['$id'] : `schema-${index}`
    },
    transformObject: optionalBodies
  })
  submitRoutes(app, context)
  taskRoutes(app, context)
  logRoutes(app, context)
  clusterRoutes(app, context)
  policyRoutes(app, context)
  modelRoutes(app, context)
  adviceRoutes(app, context)
  historyRoutes(app, context)
  operationRoutes(app, context)
  await app.ready()
  return app
}

/**
 * Binds and answers with the base URL. Errors: CONFIG_INVALID for an address that others reach while the API has no
 * authentication, PORT_IN_USE.
 */
export async function listen(app: FastifyInstance, address: { host: string; port: number }): Promise<string> {
  checkBinding(address.host, false)
  try {
    return await app.listen(address)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    throw portInUse(address.host, address.port, error)
  }
}

/** PORT_IN_USE, for an address that somebody else listens on. */
export function portInUse(host: string, port: number, cause: unknown): AppError {
  return new AppError('PORT_IN_USE', `port: got ${port}, expected one that is free on ${host}`, {
    cause,
    details: { field: 'port', got: port, expected: 'a free port' }
  })
}

/** Operations that take a body and can do without. The generator takes every body that has a schema for required. */
const OPTIONAL_BODIES: readonly string[] = ['comparePolicies']

const optionalBodies: NonNullable<FastifyDynamicSwaggerOptions['transformObject']> = (document) => {
  if (!('openapiObject' in document)) return document.swaggerObject
  const { openapiObject } = document
  for (const path of Object.values(openapiObject.paths ?? {})) {
    const body = path?.post?.requestBody
    if (body !== undefined && 'required' in body && OPTIONAL_BODIES.includes(path?.post?.operationId ?? ''))
      body.required = false
  }
  return openapiObject
}

function newApp({ bootId }: ServerOptions): FastifyInstance {
  let requests = 0
  const nextId = (): string => {
    requests += 1
    return `${bootId}-${requests}`
  }
  return fastify({
    logger: false,
    bodyLimit: LIMITS.requestBodyBytes,
    // A request must arrive whole in this time; replies may stream for longer.
    requestTimeout: 60 * second,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    genReqId: nextId,
    requestIdHeader: false,
    clientErrorHandler: (error, socket) => {
      if (error.code === 'ECONNRESET' || !socket.writable) return
      const id = nextId()
      socket.end(
        rawProblem(new AppError('INVALID_REQUEST', `not HTTP: ${error.message}`, { cause: error }), id)
      )
    },
    frameworkErrors: (error, request, reply) => {
      void sendProblem(reply, translate(error, request), request.id)
    }
  })
}

/** Bodies are JSON or nothing: form posts and plain text are what a hostile page can send without asking first. */
function parseJsonOnly(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer' }, (_request, body, done) => {
    if (body.length === 0) {
      done(null, undefined)
      return
    }
    try {
      if (!isUtf8(body)) throw new SyntaxError('it is not UTF-8 text')
      done(null, JSON.parse(body.toString('utf8')))
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      done(
        new AppError('INVALID_JSON', `body: ${reason}`, {
          cause: error,
          details: { field: 'body', expected: 'JSON' }
        })
      )
    }
  })
}

/** Judges each request before anything else, and marks each reply with what this node had applied. */
function guard(app: FastifyInstance, options: ServerOptions, { port, streams }: RouteContext): void {
  const checkHost = createHostCheck(options)
  const node = String(port.nodeId)
  let closing = false
  app.addHook('onRequest', (request, _reply, done) => {
    try {
      checkHost(request.headers.host, request.headers.origin)
      if (closing) throw new AppError('SHUTTING_DOWN', 'this node is stopping; ask another')
      done()
    } catch (error) {
      done(error as Error)
    }
  })
  app.addHook('preValidation', ({ body, routeOptions: { schema } }, _reply, done) => {
    // It would be passed over: a caller who names a version there means that one.
    const isUseless = schema !== undefined && schema.body === undefined && saysSomething(body)
    done(isUseless ? invalid('body', body, 'no body: this request takes none') : undefined)
  })
  app.addHook('onSend', (_request, reply, payload, done) => {
    reply.header(HEADERS.appliedIndex, port.appliedIndex())
    reply.header(HEADERS.node, node)
    const leader = port.leader()
    if (leader !== undefined) reply.header(HEADERS.leader, leader)
    // A connection that is kept alive past this reply would hold up the server's end.
    if (closing) reply.header('connection', 'close')
    done(null, payload)
  })
  app.addHook('preClose', (done) => {
    closing = true
    streams.closeAll()
    done()
  })
}

function saysSomething(body: unknown): boolean {
  if (body === undefined || body === null || body === '') return false
  return typeof body !== 'object' || Object.keys(body).length > 0
}
