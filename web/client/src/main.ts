import './styles/base.css';
import './styles/list.css';
import './styles/conversation.css';
import './styles/prose.css';
import './styles/forms.css';

import { createPinia } from 'pinia';
import { createApp } from 'vue';

import App from './App.vue';
import { i18n } from './locales';
import { router } from './router';
import { usePreferences } from './stores/preferences';

const pinia = createPinia();
usePreferences(pinia);
createApp(App).use(pinia).use(i18n).use(router).mount('#app');
