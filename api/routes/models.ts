/** The models behind predictions: their versions, how good they are, and what an operator may do about them. */
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { AppError } from '../../base/errors.ts'
import { closed, reference } from '../../base/wire/common.ts'
import {
  ModelCalibrationSchema,
  ModelListSchema,
  ModelModeChangeSchema,
  ModelStatusSchema,
  ModelViewSchema
} from '../../base/wire/optimizer.ts'
import type {
  ModelCalibration,
  ModelList,
  ModelModeChange,
  ModelStatus,
  ModelView
} from '../../base/wire/optimizer.ts'
import { settle } from '../context.ts'
import type { ReadQuery, RouteContext } from '../context.ts'
import { readQuery, replies } from '../schemas.ts'
import { compileCheck, shown } from '../validation.ts'

const checkMode = compileCheck(ModelModeChangeSchema, 'body')
const versionParams = closed({ version: Type.String({ description: 'the version of a model' }) })
/** What the log keeps as the reason when an operator decides. */
const BY_OPERATOR = 'an operator'

/** Registers the routes. */
export function modelRoutes(app: FastifyInstance, context: RouteContext): void {
  readRoutes(app, context)
  changeRoutes(app, context)
}

function readRoutes(app: FastifyInstance, { port }: RouteContext): void {
  app.get<{ Querystring: ReadQuery }>(
    '/v1/models',
    {
      schema: {
        tags: ['optimizer'],
        operationId: 'listModels',
        summary: 'Versions of the model, newest first',
        querystring: readQuery,
        response: replies(200, 'the versions that are kept', ModelListSchema)
      }
    },
    async ({ query }): Promise<ModelList> => {
      await settle(port, query)
      return { models: [...port.optimizer.models()] }
    }
  )
  app.get<{ Querystring: ReadQuery }>(
    '/v1/models/status',
    {
      schema: {
        tags: ['optimizer'],
        operationId: 'getModelStatus',
        summary: 'What learns and what predicts, as this node sees it',
        description: 'Only the leader trains, so only its answer has a `trainer` that works.',
        querystring: readQuery,
        response: replies(200, 'the status', ModelStatusSchema)
      }
    },
    async ({ query }): Promise<ModelStatus> => {
      await settle(port, query)
      return port.optimizer.modelStatus()
    }
  )
  app.get<{ Querystring: ReadQuery }>(
    '/v1/models/calibration',
    {
      schema: {
        tags: ['optimizer'],
        operationId: 'getModelCalibration',
        summary: 'How far predicted quantiles can be believed',
        description: 'From completions that this node has seen since it started.',
        querystring: readQuery,
        response: replies(200, 'the calibration', ModelCalibrationSchema)
      }
    },
    async ({ query }): Promise<ModelCalibration> => {
      await settle(port, query)
      return port.optimizer.calibration()
    }
  )
}

function changeRoutes(app: FastifyInstance, context: RouteContext): void {
  const { port } = context
  rollBackRoutes(app, context)
  app.post<{ Params: { readonly version: string } }>(
    '/v1/models/:version/promote',
    {
      schema: {
        tags: ['optimizer'],
        operationId: 'promoteModel',
        summary: 'Have a version serve, whatever the guard says',
        params: versionParams,
        response: replies(200, 'it serves', ModelViewSchema)
      }
    },
    async ({ params }): Promise<ModelView> => {
      const { optimizer } = port
      const version = versionOf(params.version)
      await optimizer.promote(version, BY_OPERATOR)
      const model = optimizer.models().find((other) => other.version === version)
      if (model === undefined) throw unknownVersion(params.version)
      return model
    }
  )
  app.put<{ Body: unknown }>(
    '/v1/models/mode',
    {
      schema: {
        tags: ['optimizer'],
        operationId: 'setModelMode',
        summary: 'Freeze the models, or let them change by themselves',
        description: '`frozen`: nothing is trained, promoted or rolled back unless an operator says so.',
        body: reference(ModelModeChangeSchema),
        response: replies(200, 'it is set', ModelStatusSchema)
      }
    },
    async ({ body }): Promise<ModelStatus> => {
      checkMode(body)
      const { optimizer } = port
      await optimizer.setModelMode((body as ModelModeChange).mode)
      return optimizer.modelStatus()
    }
  )
}

function rollBackRoutes(app: FastifyInstance, { port }: RouteContext): void {
  app.post(
    '/v1/models/rollback',
    {
      schema: {
        tags: ['optimizer'],
        operationId: 'rollBackModel',
        summary: 'Take the serving model out of service',
        description:
          'The one that served before it serves again; without one, statistics predict alone. Not to be repeated: a second call takes ' +
          'back the one that serves by then. Name the version to be safe.',
        response: replies(200, 'it is done', ModelStatusSchema)
      }
    },
    async (): Promise<ModelStatus> => {
      const { optimizer } = port
      await optimizer.rollBack(undefined, BY_OPERATOR)
      return optimizer.modelStatus()
    }
  )
  app.post<{ Params: { readonly version: string } }>(
    '/v1/models/:version/rollback',
    {
      schema: {
        tags: ['optimizer'],
        operationId: 'rollBackModelVersion',
        summary: 'Take this version out of service',
        description:
          'Safe to repeat, unlike the form without a version: one that is rolled back already is answered as the first time, and ' +
          'another one that serves by now stays. Any other that does not serve is 409 MODEL_STATE_INVALID.',
        params: versionParams,
        response: replies(200, 'it is done', ModelStatusSchema)
      }
    },
    async ({ params }): Promise<ModelStatus> => {
      const { optimizer } = port
      await optimizer.rollBack(versionOf(params.version), BY_OPERATOR)
      return optimizer.modelStatus()
    }
  )
}

function versionOf(text: string): number {
  if (/^[1-9][0-9]{0,14}$/.test(text)) return Number(text)
  throw unknownVersion(text)
}

function unknownVersion(text: string): AppError {
  const expected = 'the version of a model that is kept'
  return new AppError('MODEL_NOT_FOUND', `version: got ${shown(text)}, expected ${expected}`, {
    details: { field: 'version', got: text, expected }
  })
}
