/** The plugins, each small. */
import { artifact } from './plugins/artifact';
import { compare } from './plugins/compare';
import { features } from './plugins/features';
import { fun } from './plugins/function';
import { model } from './plugins/model';
import { notebook } from './plugins/notebook';
import { panel, sections } from './plugins/panel';
import { run } from './plugins/run';
import { shell } from './plugins/shell';

export { IModel, ISection, ISections } from './tokens';

export default [model, sections, panel, run, fun, compare, artifact, features, notebook, shell];
