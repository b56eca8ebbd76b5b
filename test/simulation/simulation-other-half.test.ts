import { describe } from 'node:test';
import { itKeepsInvariants } from './schedules.ts';

describe('the engine, simulated: every other schedule', () => itKeepsInvariants(1));
