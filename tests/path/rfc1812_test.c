#include "dialogue.h"
