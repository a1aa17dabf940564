/* Functions that must not be used; included into every translation unit by the build. */
#ifndef FIRESTEEL_BASE_BANNED_H
#define FIRESTEEL_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#undef strcpy
#undef strcat
#undef strncat
#undef sprintf
#undef vsprintf
#undef strtok
#undef gets
#undef atoi
#undef atol
#pragma GCC poison strcpy strcat strncat sprintf vsprintf strtok gets atoi atol asctime ctime gmtime localtime

#endif
